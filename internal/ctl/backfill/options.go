package backfill

import (
	"time"

	"fc-idcard-ocr/internal/result"
)

// Options say what is submitted, and how fast.
type Options struct {
	Bucket, Region, Prefix string
	Function               string // part of the job's identity
	Keys                   result.Keys
	Since                  time.Time // only images changed since; zero means all
	Retry                  Selection // failed documents to try again
	// ClaimAge is how old a claim must be to count as left behind. It must be more than an invocation can take.
	ClaimAge time.Duration
	// MaxImageBytes: larger images, and empty ones, get a document without a paid call.
	MaxImageBytes int64
	Retention     result.Retention // what documents written with Reuse keep: the function's

	Rate      float64 // images per second, more than 0
	Parallel  int     // requests at a time, at least 1
	Limit     int64   // images submitted by this run at most; 0 means no limit
	MaxCharge int64   // paid calls that all runs of this job may cause at most, one per image; 0 means no limit
	DryRun    bool    // list and count only
	Reuse     bool    // submit one image of those with equal bytes; see ReusePlan
}
