package pipeline

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// A deposit keeps files open beyond the life of handoff. They wait, as messages that nobody reads, in a socket that
// the guardian has open too: the kernel closes them when the last of the two has gone. The guardian needs to know
// nothing of it, and to show end-of-file in the normal course needs none of its time.
type deposit struct {
	mu    sync.Mutex
	in    *os.File
	box   *os.File // what is sent on in waits here
	queue []ticket // as in box
	last  ticket
}

// newDeposit returns nil when there can be none.
func newDeposit() *deposit {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	return &deposit{in: os.NewFile(uintptr(p[0]), "deposit"), box: os.NewFile(uintptr(p[1]), "deposit")}
}

// put returns 0 when there is no room left: the run goes on without that safety.
func (d *deposit) put(f *os.File) ticket {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	if control(f, func(fd int) error { return d.send(d.last, fd) }) != nil {
		return 0
	}
	d.queue = append(d.queue, d.last)
	return d.last
}

// remove closes the copy of t. The box gives its messages in order: those before t go to the end of the queue.
func (d *deposit) remove(t ticket) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for range d.queue {
		id, fd, err := d.receive()
		if err != nil {
			return
		}
		d.queue = slices.Delete(d.queue, 0, 1)
		if id != t && fd >= 0 && d.send(id, fd) == nil {
			d.queue = append(d.queue, id)
		}
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		if id == t {
			return
		}
	}
}

func (d *deposit) send(t ticket, fd int) error {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(t))
	return control(d.in, func(in int) error {
		return unix.Sendmsg(in, b[:], unix.UnixRights(fd), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	})
}

// receive takes the first message; fd is -1 when handoff could not open one more file.
func (d *deposit) receive() (t ticket, fd int, err error) {
	var b [8]byte
	oob := make([]byte, unix.CmsgSpace(4))
	fd = -1
	err = control(d.box, func(box int) error {
		n, oobn, _, _, err := unix.Recvmsg(box, b[:], oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err == nil && n < len(b) {
			err = errors.New("short message")
		}
		oob = oob[:max(oobn, 0)]
		return err
	})
	if err != nil {
		return 0, -1, err
	}
	msgs, _ := unix.ParseSocketControlMessage(oob)
	for _, m := range msgs {
		if fds, err := unix.ParseUnixRights(&m); err == nil && len(fds) == 1 {
			fd = fds[0]
		}
	}
	return ticket(binary.LittleEndian.Uint64(b[:])), fd, nil
}

func (d *deposit) close() {
	_ = d.in.Close()
	_ = d.box.Close()
}

// files are what the guardian must keep open.
func (d *deposit) files() []*os.File { return []*os.File{d.box} }

// control calls fn with the descriptor of f, without a change of its mode.
func control(f *os.File, fn func(fd int) error) error {
	rc, err := f.SyscallConn()
	if err != nil {
		return err
	}
	cerr := rc.Control(func(fd uintptr) { err = fn(int(fd)) })
	return errors.Join(cerr, err)
}
