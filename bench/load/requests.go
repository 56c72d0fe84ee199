package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"time"
)

const (
	mark  = "################" // 16 bytes that make every body different
	hex   = "0123456789abcdef"
	agent = "Mozilla/5.0 (Linux; Android 14; SM-A546E) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Mobile"
)

type request struct {
	bytes   []byte
	tokenAt int
	markAt  int
	run     uint32
}

// number writes the run and the request's number over the mark.
func (r request) number(n int) {
	value := uint64(r.run)<<32 | uint64(uint32(n))
	for i := 15; i >= 0; i-- {
		r.bytes[r.markAt+i] = hex[value&15]
		value >>= 4
	}
}

type writer struct {
	options
	random *rand.Rand
	run    uint32
	nowMs  int64
}

func newWriter(o options) *writer {
	now := time.Now()
	return &writer{options: o, random: rand.New(rand.NewSource(now.UnixNano())), run: uint32(now.UnixMicro()), nowMs: now.UnixMilli()}
}

func (w *writer) requests() []request {
	made := make([]request, w.bodies)
	for i := range made {
		made[i] = w.request()
	}
	return made
}

func (w *writer) request() request {
	var body bytes.Buffer
	body.WriteString(`{"events":[`)
	for i := 0; i < w.events; i++ {
		if i > 0 {
			body.WriteByte(',')
		}
		w.event(&body, i == 0)
	}
	body.WriteString(`]}`)
	token := ""
	if len(w.tokens) > 0 {
		token = "Authorization: Bearer " + w.tokens[0] + "\r\n"
	}
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		w.path, token, body.Len())
	text := append([]byte(head), body.Bytes()...)
	return request{
		bytes:   text,
		tokenAt: bytes.Index(text, []byte("Bearer ")) + len("Bearer "),
		markAt:  bytes.Index(text, []byte(mark)),
		run:     w.run,
	}
}

// event writes one event of what a shop sends: mostly views, sometimes a cart, seldom a purchase.
func (w *writer) event(to *bytes.Buffer, first bool) {
	device, product := w.random.Intn(w.devices), w.random.Intn(50_000)
	session := mark
	if !first {
		session = fmt.Sprintf("%016x", w.random.Uint64())
	}
	kind, props := w.kind(device, product)
	at := w.nowMs - w.random.Int63n(int64(w.spreadS)*1000+1)
	fmt.Fprintf(to, `{"t":"%s","ts":%d,"cid":%d,"did":"device-%08d",`, kind, at, w.clientID, device)
	fmt.Fprintf(to, `"url":"https://shop.example/p/%d","ip":"189.203.%d.%d",`, product, device>>8&255, device&255)
	fmt.Fprintf(to, `"ua":"%s","props":{"session":"%s"%s}}`, agent, session, props)
}

func (w *writer) kind(device, product int) (kind, props string) {
	price := 50 + product%2000
	switch dice := w.random.Intn(100); {
	case dice < 60:
		return "page_view", ""
	case dice < 85:
		return "view_product", fmt.Sprintf(`,"product_id":"sku-%d","price":%d.5`, product, price)
	case dice < 95:
		return "add_to_cart", fmt.Sprintf(`,"product_id":"sku-%d","price":%d.5,"quantity":1`, product, price)
	}
	return "purchase", fmt.Sprintf(`,"order_id":"o-%d","product_id":"sku-%d","quantity":1,"revenue":%d.5,"user_id":"user-%d"`,
		w.random.Int63(), product, price, device)
}
