package plan

import (
	"path"
	"regexp"
	"strings"
	"sync"
)

var (
	printed  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?s)\{\{-?\s*(.*?)\s*-?\}\}`) })
	setTag   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?s)\{%-?\s*set\s.*?%\}|\{#.*?#\}`) })
	variable = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z]\w*$`) })
)

// unnamed stands for what a template prints without a name for it.
const unnamed = "\x00"

// stageName is the base name of the program that a command starts with. It is read from the source in project.yml,
// never from the rendered script: a name stands in the record, and the script may hold a secret. A variable shows as
// its name.
func stageName(source string) string {
	if strings.Contains(source, "{") {
		source = setTag().ReplaceAllLiteralString(source, " ")
		source = printed().ReplaceAllStringFunc(source, func(tag string) string {
			if name := printed().FindStringSubmatch(tag)[1]; variable().MatchString(name) {
				return name
			}
			return unnamed
		})
	}
	for word := range strings.FieldsSeq(source) {
		if strings.Contains(word, "{%") || strings.Contains(word, "{{") {
			break // the program depends on more than a variable, or the template is broken
		}
		if name, _, ok := strings.Cut(word, "="); ok && !strings.ContainsAny(name, "/.-") {
			continue // an assignment before the command
		}
		name := strings.Trim(strings.ReplaceAll(path.Base(word), unnamed, ""), `"'(){};`)
		if strings.Trim(word, unnamed) == "" {
			break
		}
		if name != "" && name != "." {
			return name
		}
	}
	return "command"
}
