package notify

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Body returns what a webhook gets, in the form of project.Notify.
func (m Message) Body(form string) ([]byte, error) {
	var v any = m
	switch form {
	case "slack":
		v = m.slack()
	case "teams":
		v = m.teams()
	case "discord":
		v = m.discord()
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// sign is what is seen of an event before a word of it is read.
func (m Message) sign() string {
	switch m.Event {
	case Success, Recovery:
		return "✅"
	case Missed, Late:
		return "⚠️"
	}
	return "❌"
}

// block is text as it is, for services that read Markdown: whatever is in it, it does not end it, and calls nobody.
func block(lines []string, most int) string {
	text := strings.ReplaceAll(strings.Join(lines, "\n"), "```", "'''")
	for len([]rune(text)) > most && len(lines) > 1 { // the last lines say most
		lines = lines[1:]
		text = strings.ReplaceAll(strings.Join(lines, "\n"), "```", "'''")
	}
	return "```\n" + cut(text, most) + "\n```"
}

// slack is what incoming webhooks of Slack take.
func (m Message) slack() any {
	plain := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;") // so that nothing is a link, or calls a person
	var b strings.Builder
	b.WriteString(m.sign() + " *" + plain.Replace(m.Title) + "*\n")
	for _, f := range m.facts() {
		b.WriteString(f[0] + ": " + plain.Replace(f[1]) + "\n")
	}
	if len(m.Tail) > 0 {
		b.WriteString(plain.Replace(block(m.Tail, 2500)) + "\n")
	}
	b.WriteString("`" + plain.Replace(m.Look) + "`")
	return struct {
		Text   string `json:"text"`
		Mrkdwn bool   `json:"mrkdwn"`
		Unfurl bool   `json:"unfurl_links"`
	}{b.String(), true, false}
}

// discord is what webhooks of Discord take: at most 2,000 signs.
func (m Message) discord() any {
	plain := strings.NewReplacer("*", `\*`, "_", `\_`, "`", "\\`", "~", `\~`, "|", `\|`, "<", `\<`)
	var b strings.Builder
	b.WriteString(m.sign() + " **" + plain.Replace(m.Title) + "**\n")
	for _, f := range m.facts() {
		b.WriteString(f[0] + ": " + plain.Replace(cut(f[1], 300)) + "\n")
	}
	end := "`" + m.Look + "`"
	text := b.String()
	if len(m.Tail) > 0 {
		text += block(m.Tail, 600) + "\n"
	}
	type mentions struct {
		Parse []string `json:"parse"`
	}
	return struct {
		Content string   `json:"content"`
		Allowed mentions `json:"allowed_mentions"`
	}{cut(text, 1990-len([]rune(end))) + end, mentions{[]string{}}}
}

// teams is an adaptive card, as workflows and incoming webhooks of Teams take them.
func (m Message) teams() any {
	type object = map[string]any
	var facts []object
	for _, f := range m.facts() {
		facts = append(facts, object{"title": f[0], "value": f[1]})
	}
	text := func(s string, more object) object {
		o := object{"type": "TextBlock", "text": s, "wrap": true}
		for k, v := range more {
			o[k] = v
		}
		return o
	}
	body := []object{text(m.sign()+" "+m.Title, object{"weight": "Bolder", "size": "Medium"}), {"type": "FactSet", "facts": facts}}
	if len(m.Tail) > 0 {
		body = append(body, object{"type": "RichTextBlock", "inlines": []object{{"type": "TextRun", "text": strings.Join(m.Tail, "\n"), "fontType": "Monospace"}}})
	}
	body = append(body, object{"type": "RichTextBlock", "inlines": []object{{"type": "TextRun", "text": m.Look, "fontType": "Monospace", "isSubtle": true}}})
	return object{"type": "message", "attachments": []object{{
		"contentType": "application/vnd.microsoft.card.adaptive",
		"content": object{
			"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
			"msteams": object{"width": "Full"}, "body": body,
		},
	}}}
}
