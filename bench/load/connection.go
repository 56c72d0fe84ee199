package main

import (
	"bytes"
	"errors"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// connection has at most one request under way; it owns its requests, which it changes in place.
type connection struct {
	fd       int
	requests []request
	next     int
	out      []byte
	waits    bool
	busy     bool
	due      time.Time
	buffer   []byte
	filled   int
}

type answer struct {
	status string
	body   []byte
	closes bool
}

var errEnd = errors.New("connection ended")

var (
	headEnd, lineEnd, colon         = []byte("\r\n\r\n"), []byte("\r\n"), []byte(":")
	contentLength, connectionHeader = []byte("content-length"), []byte("connection")
	closeWord                       = []byte("close")
)

// call reads or writes without telling Go's scheduler: the socket never blocks, and there is nothing else to run.
func call(number uintptr, fd int, buffer []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(number, uintptr(fd), uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func (c *connection) connect(port int) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		syscall.Close(fd)
		return err
	}
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	c.fd, c.filled, c.waits = fd, 0, false
	return syscall.SetNonblock(fd, true)
}

func (c *connection) prepare(number int, now time.Time) {
	r := c.requests[c.next]
	c.next = (c.next + 1) % len(c.requests)
	r.number(number, now)
	c.out, c.busy = r.bytes, true
}

func (c *connection) write() error {
	for len(c.out) > 0 {
		n, err := call(syscall.SYS_WRITE, c.fd, c.out)
		if err == syscall.EAGAIN {
			return nil
		}
		if err != nil {
			return err
		}
		c.out = c.out[n:]
	}
	return nil
}

// read returns a whole answer, or nil while there is none.
func (c *connection) read() (*answer, error) {
	if c.filled == len(c.buffer) {
		c.buffer = append(c.buffer, make([]byte, len(c.buffer))...)
	}
	n, err := call(syscall.SYS_READ, c.fd, c.buffer[c.filled:])
	if err == syscall.EAGAIN {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, errEnd
	}
	c.filled += n
	if !c.busy {
		return nil, errors.New("an answer that nobody asked for")
	}
	return parseAnswer(c.buffer[:c.filled])
}

func parseAnswer(text []byte) (*answer, error) {
	head, body, whole := bytes.Cut(text, headEnd)
	if !whole {
		return nil, nil
	}
	if len(head) < 12 {
		return nil, errors.New("not an HTTP answer")
	}
	a := &answer{status: string(head[9:12])}
	length := -1
	for _, rest, more := bytes.Cut(head, lineEnd); more; {
		var line []byte
		line, rest, more = bytes.Cut(rest, lineEnd)
		name, value, _ := bytes.Cut(line, colon)
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, contentLength):
			length, _ = strconv.Atoi(string(value))
		case bytes.EqualFold(name, connectionHeader):
			a.closes = bytes.EqualFold(value, closeWord)
		}
	}
	if length < 0 {
		return nil, errors.New("an answer without Content-Length")
	}
	if len(body) < length {
		return nil, nil
	}
	a.body = body[:length]
	return a, nil
}

// fault says why an answer is no acknowledgement; empty: it is one.
func (a *answer) fault(expect string) string {
	if a.status[0] != '2' {
		return a.status
	}
	if expect != "" && !bytes.Contains(a.body, []byte(expect)) {
		return a.status + " without " + expect
	}
	return ""
}
