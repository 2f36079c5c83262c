package pipe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

var implementations = map[string]teeFunc{"kernel": teeKernel, "buffer": teeBuffer}

// TestSmallPrivatePipes: the kernel may refuse to enlarge the private pipes, or some of them.
func TestSmallPrivatePipes(t *testing.T) {
	t.Parallel()
	data := randomBytes(300_000)
	in, w := newTestPipe(t)
	go feed(w, data, len(data), rand.New(rand.NewPCG(5, 6)))
	var branches []*os.File
	var readers []*reader
	for range 4 {
		r := newReader(t, 5000, noLimit, 0)
		readers, branches = append(readers, r), append(branches, r.w)
	}
	es, closeEnds, err := openEnds(t.Context(), in, branches)
	if err != nil {
		t.Fatal(err)
	}
	defer closeEnds()
	k := &kernelTee{ends: es, private: map[*end]*private{}}
	defer k.closePrivate()
	if err := k.openPrivate(); err != nil {
		t.Fatal(err)
	}
	for i, size := range []int{16384, 4096, 8192} {
		p := k.private[es.out[i+1]]
		if p.size, err = unix.FcntlInt(uintptr(p.w), unix.F_SETPIPE_SZ, size); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := k.run(new(atomic.Int64)); err != nil || n != int64(len(data)) {
		t.Errorf("run = %d, %v; want %d", n, err, len(data))
	}
	want := sha256.Sum256(data)
	for i, r := range readers {
		_ = r.w.Close()
		es.close()
		<-r.done
		if !bytes.Equal(r.sum, want[:]) {
			t.Errorf("branch %d: %d bytes", i, r.read)
		}
	}
}

// Not parallel: a user may hold so much in pipes, and other tests hold many.
func TestNewEnlarges(t *testing.T) {
	r, _ := newTestPipe(t)
	if _, size, err := Level(r); err != nil || size <= minSize {
		t.Errorf("size = %d, %v; want more than %d", size, err, minSize)
	}
}

// TestTeeBetweenProcesses: the files of children stay in blocking mode, and the writer dies of SIGPIPE.
func TestTeeBetweenProcesses(t *testing.T) {
	t.Parallel()
	eachTee(t, func(t *testing.T, tee teeFunc) {
		in, w := newTestPipe(t)
		yes := exec.CommandContext(t.Context(), "yes")
		yes.Stdout = w
		if err := yes.Start(); err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
		var branches []*os.File
		var got [2]bytes.Buffer
		var heads []*exec.Cmd
		for i, lines := range []string{"2", "3"} {
			r, w := newTestPipe(t)
			head := exec.CommandContext(t.Context(), "head", "-n", lines)
			head.Stdin, head.Stdout = r, &got[i]
			if err := head.Start(); err != nil {
				t.Fatal(err)
			}
			_ = r.Close()
			branches, heads = append(branches, w), append(heads, head)
		}
		if _, err := tee(t.Context(), in, branches, new(atomic.Int64)); err != nil {
			t.Error(err)
		}
		_ = in.Close()
		for _, head := range heads {
			if err := head.Wait(); err != nil {
				t.Error(err)
			}
		}
		_ = yes.Wait()
		if ws := yes.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGPIPE {
			t.Errorf("yes: %v; want SIGPIPE", yes.ProcessState)
		}
		if d := cmp.Diff([]string{"y\ny\n", "y\ny\ny\n"}, []string{got[0].String(), got[1].String()}); d != "" {
			t.Error(d)
		}
	})
}

// BenchmarkTee copies from one child to two others. "multiwriter" and "command" are what it competes with.
func BenchmarkTee(b *testing.B) {
	const size = 256 << 20
	for name, tee := range map[string]teeFunc{
		"kernel": teeKernel, "buffer": teeBuffer, "multiwriter": teeMultiWriter, "command": teeCommand,
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				benchTee(b, tee)
			}
		})
	}
}

func benchTee(b *testing.B, tee teeFunc) {
	b.Helper()
	in, w := newTestPipe(b)
	cmds := []*exec.Cmd{exec.Command("head", "-c", "256M", "/dev/zero")}
	cmds[0].Stdout = w
	var branches, ours []*os.File
	ours = append(ours, w)
	for range 2 {
		r, w := newTestPipe(b)
		cmd := exec.Command("dd", "bs=256k", "of=/dev/null", "status=none")
		cmd.Stdin = r
		cmds, branches, ours = append(cmds, cmd), append(branches, w), append(ours, r)
	}
	for _, cmd := range cmds {
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
	}
	for _, f := range ours {
		_ = f.Close()
	}
	if _, err := tee(b.Context(), in, branches, new(atomic.Int64)); err != nil {
		b.Fatal(err)
	}
	for _, f := range branches {
		_ = f.Close()
	}
	for _, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			b.Fatal(err)
		}
	}
}

func teeMultiWriter(_ context.Context, in *os.File, branches []*os.File, _ *atomic.Int64) (int64, error) {
	return io.Copy(io.MultiWriter(branches[0], branches[1]), struct{ io.Reader }{in})
}

func teeCommand(ctx context.Context, in *os.File, branches []*os.File, _ *atomic.Int64) (int64, error) {
	cmd := exec.CommandContext(ctx, "tee", "/dev/fd/3")
	cmd.Stdin, cmd.Stdout, cmd.ExtraFiles = in, branches[0], branches[1:]
	return 0, cmd.Run()
}
