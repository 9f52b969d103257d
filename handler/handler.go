// Package handler holds the function's ways in, events and HTTP requests of both runtimes, and its way out, the report or the
// error for the platform. It decides which images an event or request names; package processor does the rest.
package handler

import (
	"context"
	"log/slog"
	"time"

	"fc-idcard-ocr/internal/processor"
	"fc-idcard-ocr/internal/result"
)

// Options configure a Handler. Processor and Keys are required.
type Options struct {
	Processor *processor.Processor
	Keys      result.Keys

	MaxImageBytes int64    // of a picture in the body of a request
	BodyBytes     int64    // of all bodies that the custom runtime holds at once; 0 means no limit
	HTTPAllow     []string // "bucket" or "bucket/prefix" that HTTP requests may name
	// RemoveWithImage takes events about images that are gone, for the Processor to remove their documents.
	RemoveWithImage bool
	// RequireControlPath refuses events to the custom runtime that come without x-fc-control-path, which every request on Function
	// Compute has: something on the way took it from a caller's request.
	RequireControlPath bool
	Version            string
	PublicConfig       map[string]any // what GET /healthz shows of the configuration; no secrets

	Warm func(context.Context) error // called by Initialize; makes no request
	Log  *slog.Logger                // nil discards
}

// Handler handles events and HTTP requests. It is safe for concurrent use.
type Handler struct {
	options   Options
	processor *processor.Processor
	log       *slog.Logger
	started   time.Time
	bodies    *bodyBudget
}

// New returns a Handler.
func New(o Options) *Handler {
	h := &Handler{options: o, processor: o.Processor, log: o.Log, started: time.Now(), bodies: newBodyBudget(o.BodyBytes)}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	return h
}

// Initialize prepares a new instance for its first event, for three seconds at most. It cannot fail: an instance that is not
// warm is only slower.
func (h *Handler) Initialize(ctx context.Context) {
	if h.options.Warm == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := h.options.Warm(ctx); err != nil {
		h.log.Warn("instance not warmed", "reason", err.Error())
	}
}
