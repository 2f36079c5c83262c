package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
)

// Limits of one message. What takes longer is given up: nobody waits for a service that is silent.
const (
	Patience = 30 * time.Second // all tries together
	oneTry   = 10 * time.Second
	tries    = 4
)

// Sender sends messages.
type Sender struct {
	Environ []string // of commands
	Dir     string   // in which commands run
	Roots   *x509.CertPool
	Mask    func(string) string // takes secrets out of errors
	Pause   time.Duration       // before the second try, doubled each time; 0: a second
	Now     func() time.Time
}

// permanent is an error that another try would meet again.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Send tells one receiver, whose templates are filled in, of m; record is for a command. It returns after Patience at the latest.
// Webhooks and mail are tried again where that may help; a command runs once.
func (s Sender) Send(ctx context.Context, to project.Notify, m Message, record []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, Patience, fmt.Errorf("no success within %v", Patience))
	defer cancel()
	err := s.tries(ctx, to, m, record)
	if err == nil {
		return nil
	}
	return errors.New(s.Mask(oneLine(err.Error())))
}

func (s Sender) tries(ctx context.Context, to project.Notify, m Message, record []byte) error {
	if to.Command != "" {
		return s.command(ctx, to.Command, m, record)
	}
	wait := s.Pause
	if wait == 0 {
		wait = time.Second
	}
	for n := 1; ; n++ {
		pause, err := s.once(ctx, to, m)
		if _, final := errors.AsType[permanent](err); err == nil || final {
			return err
		}
		if n == tries {
			return fmt.Errorf("%d tries: %w", tries, err)
		}
		if cloud.Sleep(ctx, max(wait, pause)) != nil {
			return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		}
		wait *= 2
	}
}

// once is one try. pause is what the other side asks for before the next.
func (s Sender) once(ctx context.Context, to project.Notify, m Message) (pause time.Duration, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, oneTry, fmt.Errorf("no answer within %v", oneTry))
	defer cancel()
	if to.Mail != nil {
		err = s.mail(ctx, *to.Mail, m)
	} else {
		pause, err = s.post(ctx, to, m)
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return pause, err
}

// post sends m to a webhook. A redirect is not followed: whoever gets the message is who was named.
func (s Sender) post(ctx context.Context, to project.Notify, m Message) (time.Duration, error) {
	body, err := m.Body(to.Form)
	if err != nil {
		return 0, permanent{err}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.Webhook, bytes.NewReader(body))
	if err != nil {
		return 0, permanent{errors.New("the webhook is no URL")}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "handoff")
	r.Header.Set("Idempotency-Key", m.ID+"/"+to.Name)
	way := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: s.Roots}, DisableKeepAlives: true}
	client := http.Client{Transport: way, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		return 0, unaddressed(err)
	}
	defer resp.Body.Close() // read only
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return verdict(resp, string(text))
}

// unaddressed returns an error of a request without the URL that was asked for.
func unaddressed(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return permanent{cert}
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("look up the server: %s", dns.Err)
	}
	return err
}

// verdict says what an answer means.
func verdict(resp *http.Response, text string) (pause time.Duration, err error) {
	if resp.StatusCode/100 == 2 {
		return 0, nil
	}
	err = fmt.Errorf("the webhook returned %s", resp.Status)
	if text = oneLine(text); text != "" && !strings.HasPrefix(text, "<") {
		err = fmt.Errorf("%w: %s", err, cut(text, 200))
	}
	if seconds, bad := strconv.Atoi(resp.Header.Get("Retry-After")); bad == nil {
		pause = time.Duration(min(max(seconds, 0), int(Patience.Seconds()))) * time.Second
	}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return pause, err
	}
	if resp.StatusCode >= 500 {
		return pause, err
	}
	return 0, permanent{err}
}
