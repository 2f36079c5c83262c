package jinja

// expr is a node that has a value.
type expr interface{ eval(s *state) any }

// stmt is a node that writes output or changes variables.
type stmt interface {
	exec(s *state)
	where() *span
}

// span is the place of a statement in the source, for previews.
type span struct {
	line       int
	start, end int
	refs       [2]int // its names in Template.refs: of the tag itself for a block, not of the body
	all        [2]int // including the body
}

func (n *span) where() *span { return n }

type (
	literal struct{ value any }
	nameRef struct {
		name string
		line int
	}
	listExpr  struct{ items []expr }
	tupleExpr struct{ items []expr }
	dictExpr  struct{ keys, values []expr }
	attrExpr  struct {
		x    expr
		name string
		line int
	}
	indexExpr struct {
		x, key expr
		line   int
	}
	sliceExpr struct{ lo, hi, step expr } // nil where left out; only as the key of an indexExpr
	callExpr  struct {
		fn   expr
		args argList
		line int
	}
	filterExpr struct {
		x    expr // nil: the body of a filter block
		name string
		fn   *builtin
		args argList
		line int
	}
	testExpr struct {
		x    expr
		name string
		fn   testFunc
		args argList
		line int
	}
	unaryExpr struct {
		op byte
		x  expr
	}
	binaryExpr struct {
		op   string
		x, y expr
		line int
	}
	concatExpr  struct{ parts []expr }
	compareExpr struct {
		first expr
		ops   []comparison
	}
	logicExpr struct {
		and  bool
		x, y expr
	}
	notExpr  struct{ x expr }
	condExpr struct{ test, then, other expr } // other may be nil
)

type comparison struct {
	op string // ==, !=, <, <=, >, >=, in, not in
	y  expr
}

// argList is what stands between the parentheses of a call.
type argList struct {
	pos    []expr
	names  []string // of kw
	kw     []expr
	star   expr // *args
	starKw expr // **kwargs
}

// target is what can be assigned to.
type target interface{ assign(s *state, v any) }

type (
	nameTarget  struct{ name string }
	fieldTarget struct {
		name, field string
		line        int
	} // of a namespace
	tupleTarget struct{ items []target }
)

type (
	textStmt struct {
		span
		text string
	}
	outputStmt struct {
		span
		x expr
	}
	ifStmt struct {
		span
		branches []branch
	}
	forStmt struct {
		span
		target    target
		over      expr
		filter    expr // may be nil
		recursive bool
		body      []stmt
		otherwise []stmt
	}
	setStmt struct {
		span
		target target
		value  expr
	}
	setBlockStmt struct {
		span
		target  target
		filters []*filterExpr
		body    []stmt
	}
	withStmt struct {
		span
		targets []target
		values  []expr
		body    []stmt
	}
	macroStmt struct {
		span
		*macroDef
	}
	callStmt struct {
		span
		caller *macroDef
		call   *callExpr
	}
	filterStmt struct {
		span
		filters []*filterExpr
		body    []stmt
	}
	blockStmt struct {
		span
		name   string
		scoped bool
		body   []stmt
	}
	groupStmt struct { // {% autoescape false %}, {% print %}
		span
		body []stmt
	}
)

// branch is one arm of an if; test is nil for else.
type branch struct {
	test expr
	refs [2]int // of the test
	body []stmt
}

// macroDef is the definition of a macro or of the body of a call block.
type macroDef struct {
	name       string
	params     []param
	body       []stmt
	usesArgs   bool // varargs
	usesKw     bool // kwargs
	usesCaller bool
}

type param struct {
	name string
	def  expr // nil: required in the sense of Jinja2, undefined when absent
}
