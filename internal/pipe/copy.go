package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// copyFile copies where at least one of the two is no pipe. The standard library uses splice and copy_file_range
// between the descriptors that allow it; ctx is looked at between two portions.
func copyFile(ctx context.Context, out, in *os.File) (n int64, err error) {
	src, dst := in, out
	for _, f := range []**os.File{&src, &dst} {
		if !isPipe(*f) {
			continue
		}
		e, err := open(*f)
		if err != nil {
			return 0, fmt.Errorf("copy: %w", err)
		}
		defer e.close()
		stop := context.AfterFunc(ctx, e.interrupt)
		defer stop()
		*f = e.f
	}
	for ctx.Err() == nil {
		m, err := io.CopyN(dst, src, portion)
		n += m
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, syscall.EPIPE) || err == io.EOF:
			return n, nil
		case err != nil:
			return n, fmt.Errorf("copy: %w", err)
		}
	}
	return n, context.Cause(ctx)
}

// portion is how much is copied between two looks at ctx.
const portion = 4 << 20
