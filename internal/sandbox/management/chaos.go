package management

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"strconv"
)

// Chaos is a mix of faults that are injected at random. The same seed picks the same requests of the same images again,
// whatever their order: each decision hangs on the seed, the object and how often it was asked for, not on a sequence.
type Chaos struct {
	Seed uint64
	// Throttle, Duplicate and Lost are probabilities from 0 to 1: of a throttled call or OSS request of the function, of
	// an event that is delivered twice, of an answer of the gateway that is charged and lost.
	Throttle, Duplicate, Lost float64
}

// DefaultChaos is the mix that the sandbox's --chaos stands for.
func DefaultChaos(seed uint64) *Chaos {
	return &Chaos{Seed: seed, Throttle: 0.05, Duplicate: 0.05, Lost: 0.01}
}

// roll returns the number in [0,1) that decides about this occurrence. The caller holds s.mu.
func (s *Server) roll(kind, object string) float64 {
	name := kind + "\x00" + object
	s.rolled[name]++
	hash := fnv.New64a()
	hash.Write(binary.LittleEndian.AppendUint64(nil, s.chaos.Seed))  //nolint:errcheck // a hash never fails
	hash.Write([]byte(name + "\x00" + strconv.Itoa(s.rolled[name]))) //nolint:errcheck // a hash never fails
	return rand.New(rand.NewPCG(s.chaos.Seed, hash.Sum64())).Float64()
}

func (s *Server) chaosCall(imagePath string) (Rule, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.chaos == nil {
		return Rule{}, false
	}
	switch roll := s.roll("call", imagePath); {
	case roll < s.chaos.Throttle:
		return Rule{Phase: PhaseThrottle}, true
	case roll < s.chaos.Throttle+s.chaos.Lost:
		return Rule{Phase: PhaseAfterCharge}, true
	}
	return Rule{}, false
}

// chaosRequest leaves the requests of others than the function alone: what people upload arrives.
func (s *Server) chaosRequest(request Request) (Rule, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.chaos == nil || request.Caller != CallerFunction {
		return Rule{}, false
	}
	return Rule{Phase: PhaseThrottle}, s.roll(request.Operation, request.Path) < s.chaos.Throttle
}

// chaosEvent is called with s.mu held.
func (s *Server) chaosEvent(key string) bool {
	return s.chaos != nil && s.roll("event", key) < s.chaos.Duplicate
}

func (s *Server) getChaos(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	answer := map[string]any{"enabled": s.chaos != nil}
	if s.chaos != nil {
		answer["seed"] = s.chaos.Seed
	}
	s.mu.Unlock()
	respond(w, http.StatusOK, answer)
}

// putChaos switches chaos on, with the seed that is given or a new one, or off.
func (s *Server) putChaos(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Enabled *bool   `json:"enabled"`
		Seed    *uint64 `json:"seed"`
	}
	err := decode(http.MaxBytesReader(w, r.Body, maxBody), &body)
	if err == nil && body.Enabled == nil {
		err = errors.New(`enabled is missing; accepted are {"enabled":true}, {"enabled":true,"seed":7} and {"enabled":false}`)
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	s.mu.Lock()
	s.chaos = nil
	if *body.Enabled {
		seed := uint64(rand.Uint32())
		if body.Seed != nil {
			seed = *body.Seed
		}
		s.chaos = DefaultChaos(seed)
		s.rolled = map[string]int{}
	}
	s.mu.Unlock()
	s.getChaos(w, r)
}
