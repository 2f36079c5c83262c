package project

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNotifyRules(t *testing.T) {
	t.Parallel()
	const tasks = "tasks: [{commands: [{command: ls}]}]\n"
	const mail = "notify:\n- mail: {host: h, from: a@b.c, to: [d@e.f]"
	checkRules(t, []rule{
		{name: "good", text: tasks + "notify: [{webhook: '{{ url }}', on: [failure, recovery], form: slack}, {command: ./tell, on: success}]\n"},
		{name: "good mail", text: tasks + mail + ", user: u, password: '{{ p }}', tls: tls}\n"},
		{name: "no body", text: tasks + "notify: [{on: failure}]\n",
			lenient: []string{"E 3:10: notify[0]: needs exactly one of webhook, mail and command, found none"}},
		{name: "two bodies", text: tasks + "notify: [{webhook: '{{ u }}', command: x}]\n",
			lenient: []string{"E 3:10: notify[0]: needs exactly one of webhook, mail and command, found webhook and command"}},
		{name: "unknown event", text: tasks + "notify: [{command: x, on: [failed]}]\n",
			lenient: []string{`E 3:28: notify[0].on[0]: "failed" is not one of "failure", "recovery", "success", "missed", "late", "died"`}},
		{name: "form of a command", text: tasks + "notify: [{command: x, form: slack}]\n",
			lenient: []string{`E 3:23: notify[0]: "form" says nothing beside "command" (it is for a webhook)`}},
		{name: "empty", text: tasks + "notify: [{command: ' '}]\n",
			lenient: []string{`E 3:20: notify[0]: "command" is empty`}},
		{name: "a name twice", text: tasks + "notify:\n- {name: a, command: x}\n- {name: a, command: y}\n",
			lenient: []string{`E 5:3: notify[1]: the name "a" is taken by the entry on line 4 (give it another name)`}},
		{name: "a plain webhook", text: tasks + "notify: [{webhook: https://example.com/T123}]\n",
			lenient: []string{`W 3:20: notify[0]: the URL of a webhook is a secret: whoever knows it can write there (put it into .secrets/secrets.yml, and write the name of the secret: webhook: '{{ slack_url }}')`}},
		{name: "a plain password", text: tasks + mail + ", user: u, password: p}\n",
			lenient: []string{`E 4:64: notify[0].mail.password: a password does not belong in this file (put it into .secrets/secrets.yml, and write the name of the secret: password: '{{ smtp_password }}')`}},
		{name: "nobody gets it", text: tasks + "notify: [{mail: {host: h, from: f, to: []}}]\n",
			lenient: []string{`E 3:40: notify[0].mail: nobody gets this mail (to: [team@example.com])`}},
		{name: "a password alone", text: tasks + mail + ", password: '{{ p }}'}\n",
			lenient: []string{`E 4:9: notify[0].mail: a password without a user (user: says who logs in)`}},
		{name: "a user alone", text: tasks + mail + ", user: u}\n",
			lenient: []string{`E 4:9: notify[0].mail: a user without a password (password: '{{ smtp_password }}' names a secret)`}},
	})
}

// TestNotifySecretsStayHidden shows no line of the file on which a URL or a password is written down.
func TestNotifySecretsStayHidden(t *testing.T) {
	t.Parallel()
	const text = "version: 1\ntasks: [{commands: [{command: ls}]}]\nnotify:\n- webhook: https://example.com/T0PSECRET\n  onn: 1\n- mail:\n    {host: h, from: a, to: [b], user: u, password: T0PSECRET}\n"
	_, warnings, err := Decode("project.yml", ".", []byte(text))
	if err == nil || len(warnings) != 1 {
		t.Fatalf("%v, %v", warnings, err)
	}
	if all := err.Error() + warnings[0].String(); strings.Contains(all, "T0PSECRET") {
		t.Errorf("shown:\n%s", all)
	}
}

func TestNotifyDefaults(t *testing.T) {
	t.Parallel()
	p, _, err := Decode("project.yml", ".", []byte("version: 1\ntasks: [{commands: [{command: ls}]}]\nnotify:\n- command: x\n- mail: {host: h, from: a, to: b}\n- mail: {host: h, from: a, to: b, tls: tls}\n- mail: {host: h, from: a, to: b, port: 465}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []Mail
	for _, n := range p.Notify[1:] {
		m := *n.Mail
		m.Pos = Pos{}
		got = append(got, m)
	}
	want := []Mail{{Host: "h", Port: 587, From: "a", To: []string{"b"}}, {Host: "h", Port: 465, TLS: "tls", From: "a", To: []string{"b"}}, {Host: "h", Port: 465, TLS: "tls", From: "a", To: []string{"b"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if first := p.Notify[0]; first.Name != "1" || cmp.Diff([]string{"failure", "recovery", "missed", "late", "died"}, first.On) != "" {
		t.Errorf("%+v", first)
	}
}
