package project

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Notify is somebody who is told how runs end: by exactly one of Webhook, Mail and Command. Their texts are templates.
type Notify struct {
	Pos     Pos
	Name    string   // its place in the list when absent
	On      []string // of Notifications; never empty
	Webhook string   // URL
	Form    string   // of what the webhook gets: "" (json), slack, teams or discord
	Mail    *Mail
	Command string // for /bin/sh
	At      Pos    // of the text of Webhook or Command
}

// Mail says who sends mail to whom.
type Mail struct {
	Pos      Pos
	Host     string
	Port     int    // 0: 587, or 465 with TLS "tls"
	TLS      string // "" (starttls), tls or none
	User     string // "": nobody logs in
	Password string
	From     string
	To       []string
}

// Notifications are the kinds of events that somebody can be told of.
func Notifications() []string {
	return []string{"failure", "recovery", "success", "missed", "late", "died"}
}

// toldUnlessSaid are those that an entry without `on` is told of.
func toldUnlessSaid() []string {
	return slices.DeleteFunc(Notifications(), func(kind string) bool { return kind == "success" })
}

func notifyBodies() []string { return []string{"webhook", "mail", "command"} }

func notifyShape(c *catalog) *shape {
	type n = Notify
	return &shape{
		name: "notify", what: "a map with webhook, mail or command", plural: "maps with webhook, mail or command",
		doc:     "Somebody who is told how runs of the deployed task end: docs/notifications.md. It has exactly one of `webhook`, `mail` and `command`.",
		oneOf:   notifyBodies(),
		needs:   []need{{"form", "webhook"}},
		prepare: func(d *decoder, into any, v value) { into.(*n).Pos = d.pos(v.node) },
		check:   checkNotify,
		keys: []key{
			{name: "on", field: wordsOf(Notifications(), func(n *n) *[]string { return &n.On }), standard: strings.Join(toldUnlessSaid(), ", "), example: "[failure, recovery]",
				doc: "What to tell of: failure (a run has failed, timed out or was interrupted), recovery (the first success after that), success (each one), missed (a schedule has started no run), late (the last success of a schedule is longer ago than its `freshness`), died (a run has vanished without a word)."},
			{name: "webhook", field: template(func(n *n) (*string, *Pos) { return &n.Webhook, &n.At }), example: "'{{ slack_url }}'",
				doc: "URL that gets a POST; a template. It is a secret: it belongs in .secrets, and is never shown."},
			{name: "form", field: choice([]string{"json", "slack", "teams", "discord"}, func(n *n) *string { return &n.Form }), standard: "json",
				doc: "What the webhook gets: JSON of handoff, or what one of these services takes."},
			{name: "mail", field: field{kind: objectKind, of: c.mail, set: func(d *decoder, into any, v value) {
				into.(*n).Mail = new(Mail)
				d.object(v, c.mail, into.(*n).Mail)
			}}, example: "{host: smtp.example.com, user: loads, password: '{{ smtp_password }}', from: loads@example.com, to: [team@example.com]}",
				doc: "Sends mail."},
			{name: "command", field: template(func(n *n) (*string, *Pos) { return &n.Command, &n.At }), example: "files/page.sh",
				doc: "Shell command that gets the record of the run on its standard input; a template. `HANDOFF_EVENT` in its environment says what has happened."},
			{name: "name", field: text(func(n *n) *string { return &n.Name }), standard: "its place in the list", example: "on call",
				doc: "Name in logs. With it an entry is known again when others are put before it."},
		},
	}
}

func mailShape() *shape {
	type m = Mail
	return &shape{
		name: "mail", what: "a map with host, from and to",
		doc:     "Mail through an SMTP server. Texts are templates.",
		prepare: func(d *decoder, into any, v value) { into.(*m).Pos = d.pos(v.node) },
		check:   checkMail,
		keys: []key{
			{name: "host", required: true, filled: true, field: text(func(m *m) *string { return &m.Host }), example: "smtp.example.com", doc: "Name of the server."},
			{name: "port", field: integer(1, func(m *m) *int { return &m.Port }), standard: "587; 465 with tls: tls", doc: "Port of the server."},
			{name: "tls", field: choice([]string{"starttls", "tls", "none"}, func(m *m) *string { return &m.TLS }), standard: "starttls; tls where the port is 465",
				doc: "How the connection is encrypted: starttls begins in the clear and refuses a server that cannot go on encrypted, tls is encrypted from the first byte, none is not encrypted; then nobody can log in, but on this machine."},
			{name: "user", field: text(func(m *m) *string { return &m.User }), standard: "nobody logs in", doc: "Who logs in."},
			{name: "password", field: field{kind: textKind, set: setMailPassword}, example: "'{{ smtp_password }}'",
				doc: "Password of the user: a template that names a secret."},
			{name: "from", required: true, filled: true, field: text(func(m *m) *string { return &m.From }), example: "loads@example.com", doc: "Sender."},
			{name: "to", required: true, field: wordsOf(nil, func(m *m) *[]string { return &m.To }), example: "[team@example.com]", doc: "Receivers."},
		},
	}
}

// template takes a text, and notes where it begins.
func template[T any](at func(*T) (*string, *Pos)) field {
	return field{kind: textKind, set: func(d *decoder, into any, v value) {
		if got, ok := d.text(v); ok {
			to, pos := at(into.(*T))
			*to, *pos = got, d.textStart(v.node)
		}
	}}
}

// wordsOf takes a list of texts, or one without a list, each of which is one of words; nil: any text.
func wordsOf[T any](words []string, at func(*T) *[]string) field {
	return field{kind: listKind, enum: words, single: true, set: func(d *decoder, into any, v value) {
		items := []value{v}
		if v.node.Kind == yaml.SequenceNode {
			items = d.items(v, "texts")
		}
		var out []string
		for _, item := range items {
			got, ok := d.text(item)
			if ok && words != nil {
				got, ok = d.oneOf(item, words)
			}
			if ok && !slices.Contains(out, got) {
				out = append(out, got)
			}
		}
		*at(into.(*T)) = out
	}}
}

func isTemplate(text string) bool {
	return strings.Contains(text, "{{") || strings.Contains(text, "{%")
}

// setMailPassword keeps the line of a password that is written down out of all messages.
func setMailPassword(d *decoder, into any, v value) {
	got, ok := d.text(v)
	if ok && !isTemplate(got) {
		d.private = append(d.private, v.node.Line)
		d.fail(v, "a password does not belong in this file", "put it into .secrets/secrets.yml, and write the name of the secret: password: '{{ smtp_password }}'")
	}
	into.(*Mail).Password = got
}

func checkNotify(d *decoder, into any, m *mapping) {
	n := into.(*Notify)
	body := d.exactlyOne(m, m.oneOf, true)
	if e, there := m.get("form"); there && body != "" && body != "webhook" {
		d.fail(value{e.at.node, m.path}, fmt.Sprintf("%q says nothing beside %q", "form", body), "it is for a webhook")
	}
	for _, key := range []string{"webhook", "command"} {
		if e, _ := m.get(key); body == key && e.isBlank() {
			d.fail(m.place(key), fmt.Sprintf("%q is empty", key), "")
		}
	}
	if body == "webhook" && n.Webhook != "" && !isTemplate(n.Webhook) {
		at := m.place("webhook")
		d.private = append(d.private, at.node.Line)
		d.warn(at, "the URL of a webhook is a secret: whoever knows it can write there", "put it into .secrets/secrets.yml, and write the name of the secret: webhook: '{{ slack_url }}'")
	}
	if len(n.On) == 0 {
		n.On = toldUnlessSaid()
	}
}

func checkMail(d *decoder, into any, m *mapping) {
	mail := into.(*Mail)
	if m.has("to") && len(mail.To) == 0 {
		d.fail(m.place("to"), "nobody gets this mail", "to: [team@example.com]")
	}
	if mail.Password != "" && mail.User == "" {
		d.fail(m.value, "a password without a user", "user: says who logs in")
	}
	if mail.User != "" && mail.Password == "" && !m.has("password") {
		d.fail(m.value, "a user without a password", "password: '{{ smtp_password }}' names a secret")
	}
	const implicit = 465
	switch {
	case mail.TLS == "" && mail.Port == implicit:
		mail.TLS = "tls"
	case mail.Port == 0 && mail.TLS == "tls":
		mail.Port = implicit
	case mail.Port == 0:
		mail.Port = 587
	}
}

// nameNotify gives entries without a name their place in the list, and refuses two of one name: by it is known what was sent.
func nameNotify(d *decoder, list []Notify) {
	seen := map[string]int{}
	for i := range list {
		n := &list[i]
		if n.Name == "" {
			n.Name = strconv.Itoa(i + 1)
		}
		if line, twice := seen[n.Name]; twice {
			at := value{&yaml.Node{Line: n.Pos.Line, Column: n.Pos.Column}, fmt.Sprintf("notify[%d]", i)}
			d.fail(at, fmt.Sprintf("the name %s is taken by the entry on line %d", quote(n.Name), line), "give it another name")
		}
		seen[n.Name] = n.Pos.Line
	}
}
