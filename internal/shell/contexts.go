package shell

// A setting is a place of a script where data may stand. What is in no row of the table is refused. The tests run each
// example with hostile data, in the shells that it names.
type setting struct {
	where   where
	quotes  quotes
	kind    placeKind // how data is written there
	takes   takes
	example string // prints {{ d }}, ended by a NUL
	shell   string // "": every shell; bash: only bash understands the example
}

type (
	where  string
	quotes string
	takes  string
)

const (
	argument   where = "argument"
	touching   where = "part of a word with a character that means something, such as ~ or {"
	name       where = "name of a command"
	assigned   where = "value of a variable"
	element    where = "element of an array"
	redirected where = "file of a redirection"
	item       where = "item of a for"
	matched    where = "word or pattern of a case"
	operand    where = "operand of [[ ]]"
	fallback   where = "word of ${x:-word}"
	document   where = "here-document"
	remark     where = "comment"
	calculated where = "number in arithmetic"
	compared   where = "number in a test"

	none   quotes = ""
	double quotes = `"`
	single quotes = `'`
	inner  quotes = `" inside of ${ }`
	outer  quotes = `" around ${ }`

	anything takes = "anything"
	plain    takes = "plain words"
	integers takes = "integers"
)

func contexts() []setting {
	return []setting{
		{argument, none, asWord, anything, `printf '%s\0' a{{ d }}`, ""},
		{argument, double, asDouble, anything, `printf '%s\0' "a{{ d }}"`, ""},
		{argument, single, asSingle, anything, `printf '%s\0' 'a{{ d }}'`, ""},
		{touching, none, asQuoted, anything, `printf '%s\0' a[]{{ d }}`, ""},
		{name, none, asQuoted, plain, `{{ d }} 2>/dev/null; printf '%s\0' ok`, ""},
		{name, double, asDouble, plain, `"{{ d }}" 2>/dev/null; printf '%s\0' ok`, ""},
		{name, single, asSingle, plain, `'{{ d }}' 2>/dev/null; printf '%s\0' ok`, ""},
		{assigned, none, asWord, anything, `x={{ d }}; printf '%s\0' "$x"`, ""},
		{assigned, double, asDouble, anything, `x="{{ d }}"; printf '%s\0' "$x"`, ""},
		{assigned, single, asSingle, anything, `x='{{ d }}'; printf '%s\0' "$x"`, ""},
		{element, none, asQuoted, anything, `x=({{ d }} b); printf '%s\0' "${x[0]}"`, "bash"},
		{element, double, asDouble, anything, `x=(a "{{ d }}"); printf '%s\0' "${x[1]}"`, "bash"},
		{element, single, asSingle, anything, `x=('{{ d }}'); printf '%s\0' "${x[@]}"`, "bash"},
		{redirected, none, asQuoted, anything, `cat < {{ d }} 2>/dev/null; printf '%s\0' ok`, ""},
		{redirected, double, asDouble, anything, `cat < "{{ d }}" 2>/dev/null; printf '%s\0' ok`, ""},
		{redirected, single, asSingle, anything, `cat < '{{ d }}' 2>/dev/null; printf '%s\0' ok`, ""},
		{item, none, asQuoted, anything, `for i in {{ d }}; do printf '%s\0' "$i"; done`, ""},
		{item, double, asDouble, anything, `for i in "{{ d }}"; do printf '%s\0' "$i"; done`, ""},
		{item, single, asSingle, anything, `for i in '{{ d }}'; do printf '%s\0' "$i"; done`, ""},
		{matched, none, asQuoted, anything, `case {{ d }} in {{ d }}) printf '%s\0' {{ d }};; esac`, ""},
		{matched, double, asDouble, anything, `case "{{ d }}" in "{{ d }}") printf '%s\0' "{{ d }}";; esac`, ""},
		{matched, single, asSingle, anything, `case '{{ d }}' in '{{ d }}') printf '%s\0' '{{ d }}';; esac`, ""},
		{operand, none, asQuoted, anything, `[[ x{{ d }} == x{{ d }} ]] && printf '%s\0' {{ d }}`, "bash"},
		{operand, double, asDouble, anything, `[[ "x{{ d }}" == "x{{ d }}" ]] && printf '%s\0' {{ d }}`, "bash"},
		{operand, single, asSingle, anything, `[[ 'x{{ d }}' == 'x{{ d }}' ]] && printf '%s\0' {{ d }}`, "bash"},
		{fallback, none, asQuoted, anything, `printf '%s\0' ${unset:-{{ d }}}`, ""},
		{fallback, single, asSingle, anything, `printf '%s\0' ${unset:-'{{ d }}'}`, ""},
		{fallback, inner, asDouble, anything, `printf '%s\0' ${unset:-"{{ d }}"}`, ""},
		{fallback, outer, asDoubleFallback, anything, `printf '%s\0' "${unset:-{{ d }}}"`, ""},
		{document, none, asDocument, anything, "cat <<END\n{{ d }}x\nEND\nprintf '\\0'", ""},
		{document, single, asVerbatim, anything, "cat <<'END'\n{{ d }}x\nEND\nprintf '\\0'", ""},
		{remark, none, asComment, anything, "printf '%s\\0' ok # {{ d }}", ""},
		{calculated, none, asSum, integers, `printf '%s\0' $(( {{ d }} + 1 ))`, ""},
		{compared, none, asNumber, integers, `[ {{ d }} -gt 5 ] && printf '%s\0' ok`, ""},
		{compared, double, asNumber, integers, `[ "{{ d }}" -gt 5 ] && printf '%s\0' ok`, ""},
		{compared, single, asNumber, integers, `[ '{{ d }}' -gt 5 ] && printf '%s\0' ok`, ""},
	}
}

// placeFor looks a place up in the table.
func placeFor(w where, q quotes) place {
	for _, c := range contexts() {
		if c.where == w && c.quotes == q {
			return place{kind: c.kind, array: w == element}
		}
	}
	return refuse("data cannot be quoted in this place of a script")
}
