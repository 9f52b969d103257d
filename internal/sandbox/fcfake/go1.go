package fcfake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// go1Driver is the runtime API of one instance (version 2020-11-11, as in aliyun/fc-runtime-go-sdk): the function asks
// for the next invocation and posts its response or error.
type go1Driver struct {
	instance *instance
	listener net.Listener
	server   *http.Server
	next     chan *invocation
	asked    chan struct{} // closed when the function asks for the first time
	askOnce  sync.Once

	mu      sync.Mutex
	waiting map[string]chan go1Reply // by request id
}

type go1Reply struct {
	payload []byte
	failed  bool
}

func newGo1Driver(i *instance) (*go1Driver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the runtime API: %w", err)
	}
	d := &go1Driver{
		instance: i, listener: listener, next: make(chan *invocation), asked: make(chan struct{}),
		waiting: map[string]chan go1Reply{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2020-11-11/runtime/invocation/next", d.serveNext)
	mux.HandleFunc("POST /2020-11-11/runtime/invocation/{id}/response", d.serveReply(false))
	mux.HandleFunc("POST /2020-11-11/runtime/invocation/{id}/error", d.serveReply(true))
	d.server = &http.Server{Handler: mux}
	go d.server.Serve(listener) //nolint:errcheck // ends with close
	return d, nil
}

func (d *go1Driver) env() []string {
	return []string{"FC_RUNTIME_API=" + d.listener.Addr().String(), "FC_CUSTOM_LISTEN_PORT=9000"}
}

func (d *go1Driver) close() { d.server.Close() }

func (d *go1Driver) awaitReady(ctx context.Context) error {
	select {
	case <-d.asked:
		return nil
	case <-d.instance.exited:
		return errors.New(d.instance.exitText)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serveNext holds the question until there is work. The SDK asks again before it has answered, so the question of a
// busy instance waits here too.
func (d *go1Driver) serveNext(w http.ResponseWriter, r *http.Request) {
	d.askOnce.Do(func() { close(d.asked) })
	select {
	case v := <-d.next:
		for name, values := range d.instance.runtime.headers(v) {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(v.payload) //nolint:errcheck // the death of the function is noticed elsewhere
	case <-r.Context().Done():
	}
}

func (d *go1Driver) serveReply(failed bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
		if err != nil {
			http.Error(w, "the answer is too large or incomplete", http.StatusRequestEntityTooLarge)
			return
		}
		id := r.PathValue("id")
		d.mu.Lock()
		waiting := d.waiting[id]
		delete(d.waiting, id)
		d.mu.Unlock()
		if waiting == nil {
			http.Error(w, "no invocation with this request id is under way", http.StatusNotFound)
			return
		}
		waiting <- go1Reply{payload, failed} // buffered
	}
}

func (d *go1Driver) invoke(ctx context.Context, v *invocation) ([]byte, error) {
	replies := make(chan go1Reply, 1)
	d.mu.Lock()
	d.waiting[v.requestID] = replies
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.waiting, v.requestID)
		d.mu.Unlock()
	}()
	select {
	case d.next <- v:
	case <-d.instance.exited:
		return nil, errNotDelivered
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case reply := <-replies:
		return reply.result()
	case <-d.instance.exited:
		select {
		case reply := <-replies: // its last word
			return reply.result()
		default:
			return nil, d.instance.exitError()
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r go1Reply) result() ([]byte, error) {
	if r.failed {
		return nil, reportedError(r.payload)
	}
	return r.payload, nil
}

// initialize is an invocation of its own type; without a registered hook the SDK answers with an error.
func (d *go1Driver) initialize(ctx context.Context, v *invocation) error {
	_, err := d.invoke(ctx, v)
	return err
}

func (d *go1Driver) preStop(ctx context.Context, v *invocation) error {
	_, err := d.invoke(ctx, v)
	return err
}
