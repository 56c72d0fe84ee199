package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"strconv"
	"time"
)

const (
	mark  = "################" // 16 bytes that make every body different
	hex   = "0123456789abcdef"
	agent = "Mozilla/5.0 (Linux; Android 14; SM-A546E) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Mobile"
)

type request struct {
	bytes   []byte
	markAt  int
	timesAt []int // of the events, where they happen when they are sent
	run     uint32
}

// number writes the run and the request's number over the mark, and the time over the events' times.
func (r request) number(n int, now time.Time) {
	value := uint64(r.run)<<32 | uint64(uint32(n))
	for i := 15; i >= 0; i-- {
		r.bytes[r.markAt+i] = hex[value&15]
		value >>= 4
	}
	var digits [13]byte
	strconv.AppendInt(digits[:0], now.UnixMilli(), 10)
	for _, at := range r.timesAt {
		copy(r.bytes[at:], digits[:])
	}
}

// writer makes the requests. Each is of one token; with several, no two of them have a device in common.
type writer struct {
	options
	random *rand.Rand
	run    uint32
	nowMs  int64
	made   int
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
	token, shop, shops := "", 0, max(1, len(w.tokens))
	if len(w.tokens) > 0 {
		shop = w.made % shops
		token = "Authorization: Bearer " + w.tokens[shop] + "\r\n"
	}
	w.made++
	var body bytes.Buffer
	var times []int
	body.WriteString(`{"events":[`)
	for i := 0; i < w.events; i++ {
		if i > 0 {
			body.WriteByte(',')
		}
		device := shop + shops*w.random.Intn(max(1, w.devices/shops))
		times = append(times, w.event(&body, device, i == 0))
	}
	body.WriteString(`]}`)
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		w.path, token, body.Len())
	text := append([]byte(head), body.Bytes()...)
	made := request{bytes: text, markAt: bytes.Index(text, []byte(mark)), run: w.run}
	if w.spreadS == 0 {
		for _, at := range times {
			made.timesAt = append(made.timesAt, len(head)+at)
		}
	}
	return made
}

// event writes one event of what a shop sends: mostly views, sometimes a cart, seldom a purchase. It returns
// where its time stands.
func (w *writer) event(to *bytes.Buffer, device int, first bool) int {
	product := w.random.Intn(50_000)
	session := mark
	if !first {
		session = fmt.Sprintf("%016x", w.random.Uint64())
	}
	kind, props := w.kind(device, product)
	at := w.nowMs - w.random.Int63n(int64(w.spreadS)*1000+1)
	fmt.Fprintf(to, `{"t":"%s","ts":`, kind)
	timeAt := to.Len()
	fmt.Fprintf(to, `%d,"cid":%d,"did":"device-%08d",`, at, w.clientID, device)
	fmt.Fprintf(to, `"url":"https://shop.example/p/%d","ip":"189.203.%d.%d",`, product, device>>8&255, device&255)
	fmt.Fprintf(to, `"ua":"%s","props":{"session":"%s"%s}}`, agent, session, props)
	return timeAt
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
