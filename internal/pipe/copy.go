package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// copyFile copies where at least one of the two is no pipe.
func copyFile(ctx context.Context, out, in *os.File) (n int64, err error) {
	return copySeen(ctx, out, in, func([]byte) error { return nil })
}

// copySeen is copyFile, which shows to see what it has written; an error of that ends it.
func copySeen(ctx context.Context, out, in *os.File, see func([]byte) error) (n int64, err error) {
	src, closeSrc, err := interruptible(ctx, in)
	if err != nil {
		return 0, fmt.Errorf("copy: %w", err)
	}
	defer closeSrc()
	dst, closeDst, err := interruptible(ctx, out)
	if err != nil {
		return 0, fmt.Errorf("copy: %w", err)
	}
	defer closeDst()
	buf := make([]byte, bufferSize)
	for {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		m, rerr := src.Read(buf)
		n += int64(m)
		_, werr := dst.Write(buf[:m])
		if werr == nil && m > 0 {
			if err := see(buf[:m]); err != nil {
				return n, err
			}
		}
		switch err := errors.Join(werr, rerr); {
		case err == nil:
		case ctx.Err() != nil:
			return n, context.Cause(ctx)
		case errors.Is(werr, syscall.EPIPE), werr == nil && rerr == io.EOF:
			return n, nil
		default:
			return n, fmt.Errorf("copy: %w", err)
		}
	}
}

// interruptible returns a second file for a pipe end, whose reads and writes end with ctx, and other files as they are.
func interruptible(ctx context.Context, f *os.File) (*os.File, func(), error) {
	if !isPipe(f) {
		return f, func() {}, nil
	}
	e, err := open(f)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, e.interrupt)
	return e.f, func() { stop(); _ = e.close() }, nil
}
