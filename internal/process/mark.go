package process

// A mark is a number that a process inherits from the one that started it, and keeps whatever it does to its
// environment, its session or its parent, also when it runs a program that nobody may look into. On Linux it is the
// soft limit of file locks, which the kernel has not enforced since 2.4.25, and which everybody may read in
// /proc/PID/limits. A program would have to change just this limit to lose it (su does, where root calls it).
//
// The upper bits are those of the run, the lower ones those of the command that started the process. 0 is no mark.
type mark uint64

const (
	marked      mark = 1 << 62 // no limit that a person sets is that high, and "unlimited" is higher
	commandBits      = 23
)

// command returns the mark of the n-th command of the run.
func (m mark) command(n uint64) mark {
	if m == 0 {
		return 0
	}
	return m | mark(n%(1<<commandBits-1)+1)
}

// sameRun reports whether both are marks of one run.
func (m mark) sameRun(o mark) bool { return m != 0 && m>>commandBits == o>>commandBits }
