package check

// Model is a parsed and type-checked model.
type Model struct {
	types        map[string]bool
	functions    map[string]*function
	constants    map[string]constant
	events       map[string][]string // argument types
	tables       map[string][]string
	macros       map[string]*macro
	queries      []*query
	restrictions []*query
	main         *process
}

// function is a constructor, or a destructor with its rewrite rules.
type function struct {
	name    string
	args    []string
	result  string
	private bool
	rules   []rewrite // of a destructor
	swap    string    // the p of the equation f(x, p(y)) = f(y, p(x)), if it has one
}

// rewrite is the rule of a destructor: left to right.
type rewrite struct {
	vars  map[string]string // types
	left  []*expr
	right *expr
}

type constant struct {
	kind    string // its type
	private bool
}

type macro struct {
	params []typed
	body   *process
}

type typed struct{ name, kind string }

// query is a correspondence: events, then one of several lists of events and
// equations. A restriction has the same form.
type query struct {
	vars []typed
	left []*expr   // events
	any  [][]*expr // each inner list: all of them; "=" is an equation
	line int
}

// expr is a term: a name or variable (no call), a call, or a tuple (name "").
type expr struct {
	name string
	args []*expr
	call bool
	line int
}

// pattern binds a variable, compares with a term, or takes a tuple apart.
type pattern struct {
	variable typed
	equal    *expr
	tuple    []*pattern
}

type kind int

const (
	stop      kind = iota
	replicate      // !P
	parallel       // P | Q
	restrict       // new
	input          // in
	output         // out
	mark           // event
	insert         // insert
	lookup         // get
	bind           // let
	test           // if
	step           // phase
	call           // a macro
)

// process is one step and what comes after it; parallel has several.
type process struct {
	kind     kind
	variable typed      // restrict
	name     string     // mark, insert, lookup, call
	patterns []*pattern // input, lookup, bind
	terms    []*expr    // output, mark, insert, bind, test, call
	phase    int        // step
	next     []*process
	line     int
}
