package main

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"
)

const drainTime = 15 * time.Second

// loop drives all connections: closed (the next request when the last is answered) or open (at a rate,
// where the time a request waits for a free connection is part of its latency).
type loop struct {
	options
	epoll       int
	connections map[int32]*connection
	idle        []*connection
	underway    int
	sent        int
	stopping    bool
	results
}

func newLoop(o options) (*loop, error) {
	epoll, err := syscall.EpollCreate1(0)
	if err != nil {
		return nil, err
	}
	l := &loop{options: o, epoll: epoll, connections: map[int32]*connection{}}
	l.failed = map[string]int{}
	writer := newWriter(o)
	for i := 0; i < o.connections; i++ {
		c := &connection{requests: writer.requests(), buffer: make([]byte, 64*1024)}
		if err := l.open(c); err != nil {
			return nil, err
		}
		l.idle = append(l.idle, c)
	}
	return l, nil
}

func (l *loop) open(c *connection) error {
	if err := c.connect(l.port); err != nil {
		return fmt.Errorf("cannot connect to port %d: %w", l.port, err)
	}
	l.connections[int32(c.fd)] = c
	return l.watch(c, syscall.EPOLL_CTL_ADD, syscall.EPOLLIN)
}

func (l *loop) reopen(c *connection) error {
	delete(l.connections, int32(c.fd))
	syscall.Close(c.fd)
	return l.open(c)
}

func (l *loop) watch(c *connection, operation int, events uint32) error {
	return syscall.EpollCtl(l.epoll, operation, c.fd, &syscall.EpollEvent{Events: events, Fd: int32(c.fd)})
}

func (l *loop) drive(started time.Time) error {
	events := make([]syscall.EpollEvent, 256)
	end := started.Add(time.Duration(l.seconds * float64(time.Second)))
	for {
		now := time.Now()
		l.stopping = l.stopping || now.After(end) || (l.requests > 0 && l.sent >= l.requests)
		if l.stopping && l.underway == 0 {
			return nil
		}
		if now.After(end.Add(drainTime)) {
			l.failed["no answer"] += l.underway
			return nil
		}
		if err := l.sendDue(started, now); err != nil {
			return err
		}
		n, err := l.wait(events, l.waitMs(started))
		if err != nil {
			return err
		}
		for i := 0; i < n; i++ {
			if c := l.connections[events[i].Fd]; c != nil {
				if err := l.turn(c, events[i].Events, started); err != nil {
					return err
				}
			}
		}
	}
}

// wait is epoll_wait without telling Go's scheduler, which would look for other work and wake a thread for it.
func (l *loop) wait(events []syscall.EpollEvent, waitMs int) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.epoll),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(waitMs), 0, 0)
	if errno == syscall.EINTR {
		return 0, nil
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// sendDue starts what is due on idle connections.
func (l *loop) sendDue(started, now time.Time) error {
	for len(l.idle) > 0 && !l.stopping && (l.requests == 0 || l.sent < l.requests) {
		due := now
		if l.rate > 0 {
			due = l.dueAt(started)
			if due.After(now) {
				return nil
			}
		}
		c := l.idle[len(l.idle)-1]
		l.idle = l.idle[:len(l.idle)-1]
		c.prepare(l.sent, now)
		c.due = due
		l.sent++
		l.underway++
		if err := l.write(c); err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) dueAt(started time.Time) time.Time {
	return started.Add(time.Duration(float64(l.sent) / l.rate * float64(time.Second)))
}

func (l *loop) waitMs(started time.Time) int {
	if l.rate == 0 || len(l.idle) == 0 || l.stopping {
		return 100
	}
	wait := time.Until(l.dueAt(started))
	return max(0, min(100, int((wait+time.Millisecond-1)/time.Millisecond)))
}

// turn handles what epoll says about one connection.
func (l *loop) turn(c *connection, events uint32, started time.Time) error {
	if events&syscall.EPOLLOUT != 0 && len(c.out) > 0 {
		if err := l.write(c); err != nil {
			return err
		}
	}
	if events&(syscall.EPOLLIN|syscall.EPOLLHUP|syscall.EPOLLERR) == 0 {
		return nil
	}
	answer, err := c.read()
	switch {
	case err != nil:
		if c.busy {
			l.done(c, err.Error(), started)
		}
		return l.reopen(c)
	case answer == nil:
		return nil
	}
	l.done(c, answer.fault(l.expect), started)
	if answer.closes {
		return l.reopen(c)
	}
	return nil
}

func (l *loop) done(c *connection, fault string, started time.Time) {
	now := time.Now()
	l.add(fault, l.events, now.Sub(c.due), now.Sub(started))
	c.busy, c.out, c.filled = false, nil, 0
	l.underway--
	l.idle = append(l.idle, c)
}

func (l *loop) write(c *connection) error {
	waited := c.waits
	if err := c.write(); err != nil {
		return nil // the read that follows tells why
	}
	c.waits = len(c.out) > 0
	if c.waits == waited {
		return nil
	}
	events := uint32(syscall.EPOLLIN)
	if c.waits {
		events |= syscall.EPOLLOUT
	}
	return l.watch(c, syscall.EPOLL_CTL_MOD, events)
}
