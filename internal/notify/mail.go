package notify

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/handoff-run/handoff/internal/project"
)

// mail sends m through a server.
func (s Sender) mail(ctx context.Context, to project.Mail, m Message) error {
	from, err := mail.ParseAddress(to.From)
	if err != nil {
		return permanent{fmt.Errorf("the sender is no address of mail: %w", err)}
	}
	all, err := mail.ParseAddressList(strings.Join(to.To, ", "))
	if err != nil {
		return permanent{fmt.Errorf("a receiver is no address of mail: %w", err)}
	}
	client, hangUp, err := s.dial(ctx, to)
	if err != nil {
		return inMail(err)
	}
	defer hangUp()
	if err := converse(client, to, from, all, s.letter(m, from, all)); err != nil {
		return inMail(err)
	}
	_ = client.Quit() // the server has the mail
	return nil
}

// dial returns a connection that ends with ctx, encrypted as to says.
func (s Sender) dial(ctx context.Context, to project.Mail) (*smtp.Client, func(), error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(to.Host, strconv.Itoa(to.Port)))
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	hangUp := func() {
		stop()
		_ = conn.Close()
	}
	secure := &tls.Config{ServerName: to.Host, RootCAs: s.Roots}
	if to.TLS == "tls" {
		conn = tls.Client(conn, secure)
	}
	client, err := smtp.NewClient(conn, to.Host)
	if err == nil {
		err = client.Hello(hello(from(to)))
	}
	if err == nil && to.TLS != "tls" && to.TLS != "none" {
		err = startTLS(client, secure)
	}
	if err != nil {
		hangUp()
		return nil, nil, err
	}
	return client, hangUp, nil
}

// hello is how we call ourselves: by the domain of the sender, since the name of a machine tells strangers of it.
func hello(domain string) string {
	if domain == "" || strings.ContainsAny(domain, " \r\n") {
		return "localhost"
	}
	return domain
}

func from(to project.Mail) string {
	_, domain, _ := strings.Cut(strings.Trim(to.From, " >"), "@")
	return domain
}

func startTLS(client *smtp.Client, secure *tls.Config) error {
	if offered, _ := client.Extension("STARTTLS"); !offered {
		return permanent{errors.New("the server offers no STARTTLS: see tls in docs/notifications.md")}
	}
	return client.StartTLS(secure)
}

func converse(client *smtp.Client, to project.Mail, from *mail.Address, all []*mail.Address, letter []byte) error {
	if to.User != "" {
		_, ways := client.Extension("AUTH")
		if err := client.Auth(login(to, ways)); err != nil {
			return fmt.Errorf("log in: %w", err)
		}
	}
	if err := client.Mail(from.Address); err != nil {
		return err
	}
	for _, a := range all {
		if err := client.Rcpt(a.Address); err != nil {
			return err
		}
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(letter); err != nil {
		return err
	}
	return w.Close()
}

// login takes the way that the server offers: some know only LOGIN.
func login(to project.Mail, ways string) smtp.Auth {
	plain := smtp.PlainAuth("", to.User, to.Password, to.Host)
	if strings.Contains(ways, "LOGIN") && !strings.Contains(ways, "PLAIN") {
		return &loginAuth{plain, to}
	}
	return plain
}

// loginAuth is AUTH LOGIN, with what PLAIN asks for before it shows a password.
type loginAuth struct {
	smtp.Auth
	to project.Mail
}

// Start implements smtp.Auth.
func (l *loginAuth) Start(server *smtp.ServerInfo) (string, []byte, error) {
	_, _, err := l.Auth.Start(server)
	return "LOGIN", nil, err
}

// Next implements smtp.Auth.
func (l *loginAuth) Next(fromServer []byte, more bool) ([]byte, error) {
	switch {
	case !more:
		return nil, nil
	case strings.Contains(strings.ToLower(string(fromServer)), "user"):
		return []byte(l.to.User), nil
	}
	return []byte(l.to.Password), nil
}

// inMail marks what another try would meet again: a code of 500 and more, a certificate that is not trusted, a password that may
// not be shown.
func inMail(err error) error {
	if e, ok := errors.AsType[*textproto.Error](err); ok && e.Code >= 500 {
		return permanent{err}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok || strings.Contains(err.Error(), "unencrypted connection") {
		return permanent{err}
	}
	return err
}

// letter is the whole mail.
func (s Sender) letter(m Message, from *mail.Address, all []*mail.Address) []byte {
	names := make([]string, len(all))
	for i, a := range all {
		names[i] = a.String()
	}
	domain := from.Address[strings.LastIndexByte(from.Address, '@')+1:]
	id := strings.Map(func(r rune) rune {
		if strings.ContainsRune("/@: ", r) || r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, m.ID)
	head := []string{
		"From: " + from.String(), "To: " + strings.Join(names, ",\r\n "), "Subject: " + mime.QEncoding.Encode("utf-8", m.Title),
		"Date: " + s.Now().Format("Mon, 02 Jan 2006 15:04:05 -0700"), "Message-ID: <" + id + "@" + domain + ">", "Auto-Submitted: auto-generated",
		"MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64",
	}
	return []byte(strings.Join(head, "\r\n") + "\r\n\r\n" + wrapped(base64.StdEncoding.EncodeToString([]byte(m.Text()))))
}

// wrapped is text in lines of 76 signs.
func wrapped(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		n := min(len(text), 76)
		b.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	return b.String()
}
