//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/handoff-run/handoff/test/binary"
)

const aiosmtpd = "aiosmtpd==1.4.6"

// mailServer is a real SMTP server on two ports: one with STARTTLS, which wants a login before mail, and one that is encrypted from
// the first byte. What it gets it writes to standard output.
const mailServer = `
import asyncio, email, email.policy, os, ssl, sys
from aiosmtpd.smtp import AuthResult, SMTP
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(sys.argv[1], sys.argv[2])
class Box:
    async def handle_DATA(self, server, session, envelope):
        m = email.message_from_bytes(envelope.content, policy=email.policy.default)
        print(session.auth_data or '-', envelope.mail_from, envelope.rcpt_tos, m['subject'], m['from'], m['to'], sep='|')
        print(m.get_content(), flush=True)
        return '250 OK'
def login(server, session, envelope, mechanism, data):
    good = data.login == b'loads' and data.password == b'hunter2hunter2'
    return AuthResult(success=good, auth_data=data.login.decode()) if good else AuthResult(success=False, handled=False)
async def serve():
    make = asyncio.get_running_loop().create_server
    one = await make(lambda: SMTP(Box(), tls_context=tls, require_starttls=True, auth_required=True, authenticator=login), '127.0.0.1', 0)
    two = await make(lambda: SMTP(Box()), '127.0.0.1', 0, ssl=tls)
    with open(sys.argv[3] + '.new', 'w') as f:
        f.write('%d %d' % tuple(s.sockets[0].getsockname()[1] for s in (one, two)))
    os.rename(sys.argv[3] + '.new', sys.argv[3])
    await asyncio.Event().wait()
asyncio.run(serve())
`

// TestMail sends mail by a real server, with a certificate that only this test knows.
func TestMail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := certificate(t, dir)
	out, ports := startMail(t, dir, cert, key)
	project := filepath.Join(dir, "p")
	put := func(name, text string) {
		t.Helper()
		file := filepath.Join(project, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("project.yml", `version: 1
secrets: [{key: smtp_password}]
tasks: [{name: load, commands: [{command: "true"}]}]
deploy: {resource_group: etl, task: "load"}
notify:
- {name: starttls, mail: {host: 127.0.0.1, port: `+ports[0]+`, user: loads, password: '{{ smtp_password }}', from: Löads <loads@example.com>, to: [a@example.com, b@example.com]}}
- {name: tls, mail: {host: 127.0.0.1, port: `+ports[1]+`, tls: tls, from: loads@example.com, to: a@example.com}}
- {name: open, mail: {host: 127.0.0.1, port: `+ports[0]+`, tls: none, from: loads@example.com, to: a@example.com}}
`)
	send := func(roots, password string) binary.Result {
		t.Helper()
		put(".secrets/secrets.yml", "[{key: smtp_password, value: "+password+"}]")
		cmd := binary.Command(t.Context(), dir, programs.handoff, "notify", "test", "-p", project, "-o", "text")
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+roots)
		res, err := binary.Run(cmd)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(res.Stdout+res.Stderr, password) {
			t.Errorf("shown: %s", res)
		}
		return res
	}
	want := func(res binary.Result, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(strings.Join(strings.Fields(res.Stdout), " "), w) {
				t.Errorf("no %q in %s", w, res)
			}
		}
	}
	want(send(cert, "hunter2hunter2"), "starttls mail sent", "tls mail sent", `530 "Must issue a STARTTLS command first"`)
	want(send(cert, "wrongwrongwrong"), "log in: 535", "tls mail sent")
	want(send(os.DevNull, "hunter2hunter2"), "starttls mail failed", "tls mail failed", "certificate")
	got := readFile(t, out)
	for _, w := range []string{
		"loads|loads@example.com|['a@example.com', 'b@example.com']|load (dev/etl) failed|Löads <loads@example.com>|a@example.com, b@example.com\nload (dev/etl) failed\n",
		"-|loads@example.com|['a@example.com']|", "ERROR no space left in table <x> & co",
	} {
		if !strings.Contains(strings.ReplaceAll(got, "<a@example.com>, <b@example.com>", "a@example.com, b@example.com"), w) {
			t.Errorf("no %q in\n%s", w, got)
		}
	}
	if n := strings.Count(got, "see: handoff runs show"); n != 3 {
		t.Errorf("%d mails have come:\n%s", n, got)
	}
}

// certificate writes a certificate for 127.0.0.1 that nobody has signed, and its key.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	like := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, like, like, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// startMail returns the file to which the server writes, and its ports.
func startMail(t *testing.T, dir, cert, key string) (out string, ports []string) {
	t.Helper()
	cache, err := binary.Cache()
	if err != nil {
		t.Fatal(err)
	}
	venv := filepath.Join(cache, strings.ReplaceAll(aiosmtpd, "==", "-"))
	ready := filepath.Join(venv, "ready")
	if _, err := os.Stat(ready); err != nil {
		for _, args := range [][]string{{"python3", "-m", "venv", "--clear", venv}, {filepath.Join(venv, "bin", "pip"), "install", "-q", aiosmtpd}} {
			if text, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%q: %v\n%s", args, err, text)
			}
		}
		if err := os.WriteFile(ready, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out = filepath.Join(dir, "mail")
	file, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	where := filepath.Join(dir, "ports")
	cmd := exec.Command(filepath.Join(venv, "bin", "python"), "-c", mailServer, cert, key, where)
	cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8")
	cmd.Stdout, cmd.Stderr = file, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if text, err := os.ReadFile(where); err == nil {
			return out, strings.Fields(string(text))
		}
		if time.Now().After(end) {
			t.Fatal("the mail server does not start")
		}
	}
}
