package cloud

import (
	"context"
	"fmt"
	"time"
)

// compete is how long the writers of one object wait for each other: some 45 s in maxTurns tries. In that time more than a hundred of
// them get their turn on a slow disk.
var compete = Backoff{First: 2 * time.Millisecond, Max: time.Second}

const maxTurns = 60

// Compete calls change, which reads an object and replaces it under a condition, until it says that it need not be done again. It
// is to say so with again where somebody else was faster; the waits between the calls are random, so that of many writers each gets
// its turn. Where one gets none, or ctx ends, the last err is returned.
func Compete(ctx context.Context, change func() (again bool, err error)) error {
	for n := 1; ; n++ {
		again, err := change()
		if !again || err == nil {
			return err
		}
		if n == maxTurns {
			return fmt.Errorf("overtaken %d times: %w", n, err)
		}
		if stopped := Sleep(ctx, compete.Wait(n)); stopped != nil {
			return fmt.Errorf("%w (last try: %w)", stopped, err)
		}
	}
}
