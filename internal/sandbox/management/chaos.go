package management

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
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
	hash.Write(binary.LittleEndian.AppendUint64(nil, s.config.Chaos.Seed)) //nolint:errcheck // a hash never fails
	hash.Write([]byte(name + "\x00" + strconv.Itoa(s.rolled[name])))       //nolint:errcheck // a hash never fails
	return rand.New(rand.NewPCG(s.config.Chaos.Seed, hash.Sum64())).Float64()
}

func (s *Server) chaosCall(imagePath string) (Rule, bool) {
	if s.config.Chaos == nil {
		return Rule{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch roll := s.roll("call", imagePath); {
	case roll < s.config.Chaos.Throttle:
		return Rule{Phase: PhaseThrottle}, true
	case roll < s.config.Chaos.Throttle+s.config.Chaos.Lost:
		return Rule{Phase: PhaseAfterCharge}, true
	}
	return Rule{}, false
}

// chaosRequest leaves the requests of others than the function alone: what people upload arrives.
func (s *Server) chaosRequest(request Request) (Rule, bool) {
	if s.config.Chaos == nil || request.Caller != CallerFunction {
		return Rule{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return Rule{Phase: PhaseThrottle}, s.roll(request.Operation, request.Path) < s.config.Chaos.Throttle
}

// chaosEvent is called with s.mu held.
func (s *Server) chaosEvent(key string) bool {
	return s.config.Chaos != nil && s.roll("event", key) < s.config.Chaos.Duplicate
}
