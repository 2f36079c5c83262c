package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	bufferSize = 128 << 10
	watchEvery = 50 * time.Millisecond
)

// teeBuffer is the twin of teeKernel for kernels without tee(2): one read into a buffer, one write for each branch.
func teeBuffer(ctx context.Context, in *os.File, branches []*os.File, taken *atomic.Int64) (n int64, err error) {
	es, closeEnds, err := openEnds(ctx, in, branches)
	if err != nil {
		return 0, fmt.Errorf("tee: %w", err)
	}
	done := make(chan struct{})
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer closeEnds()
	defer close(done)
	watcher.Go(func() { es.watchAll(done) })
	buf := make([]byte, bufferSize)
	for len(es.live()) > 0 {
		m, rerr := es.in.f.Read(buf)
		n += int64(m)
		taken.Add(int64(m))
		err := es.write(buf[:m])
		if err == nil && rerr != io.EOF {
			err = rerr
		}
		if err != nil || rerr == io.EOF {
			return n, es.outcome(ctx, err)
		}
	}
	return n, es.outcome(ctx, nil)
}

// write brings b to every live branch.
func (es *ends) write(b []byte) error {
	live := es.live()
	errs := make([]error, len(live))
	var wg sync.WaitGroup
	for i, e := range live {
		wg.Go(func() {
			_, err := e.f.Write(b)
			if errors.Is(err, syscall.EPIPE) {
				es.drop(e)
				return
			}
			errs[i] = err
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// watchAll drops each branch soon after its reader has gone, also when there is no input to notice it by.
func (es *ends) watchAll(done <-chan struct{}) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		select {
		case <-done:
			return
		case <-t.C:
		}
		for _, e := range es.live() {
			if ReaderGone(e.f) {
				es.drop(e)
			}
		}
	}
}
