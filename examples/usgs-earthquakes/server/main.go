// Command server behaves like the earthquake catalogue of the USGS (the FDSN event service), from a GeoJSON file, on
// the loopback interface only. It lets the example run without internet and gives its tests a feed that never changes.
// It knows the parameters that the example uses and refuses all others; it is not a copy of the real service.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

type options struct {
	data  string
	port  int
	limit time.Duration
	stdin bool
	delay time.Duration
}

func parseFlags(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("server", flag.ContinueOnError)
	fs.StringVar(&o.data, "data", "", "GeoJSON file to answer from (required)")
	fs.IntVar(&o.port, "port", 0, "port on 127.0.0.1; 0 takes a free one")
	fs.DurationVar(&o.limit, "for", 0, "stop after this time; 0 never")
	fs.BoolVar(&o.stdin, "until-stdin-closes", false, "stop when standard input ends: with a pipe from the parent, when that is gone")
	fs.DurationVar(&o.delay, "delay", 0, "wait this long before each answer (for tests that kill a run in the middle)")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if o.data == "" {
		return o, errors.New("flag -data is missing")
	}
	return o, nil
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	o, err := parseFlags(args)
	if err != nil {
		return err
	}
	catalogue, err := load(o.data)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.limit > 0 {
		ctx, stop = context.WithTimeout(ctx, o.limit)
		defer stop()
	}
	if o.stdin {
		ctx, stop = untilEOF(ctx, stdin)
		defer stop()
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", o.port))
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "http://%s\n", listener.Addr())
	return serve(ctx, listener, handler(catalogue, o.delay))
}

// untilEOF returns a context that ends when r does.
func untilEOF(ctx context.Context, r io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, r)
	}()
	return ctx, cancel
}

func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stopped := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stopped()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
