package processor

// WriteReserve is the time that must be left after a call.
const WriteReserve = writeReserve

// PendingCount tells how many paid documents are held in memory.
func (p *Processor) PendingCount() int { return len(p.pending.entries) }

// TakeRateLimit takes the call that the rate limit allows now.
func (p *Processor) TakeRateLimit() { p.limiter.Allow() }
