package processor

import (
	"fmt"
	"time"
)

// Problems tells which of the configuration, of the function's own settings or of the role would make images of an invocation
// like this one fail. What is wrong with the variables themselves is not among them: with these no process starts.
func (p *Processor) Problems(inv Invocation) []string {
	problems := []string{}
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	o := p.options
	if inv.Credentials.AccessKeyID == "" || inv.Credentials.AccessKeySecret == "" {
		add("role: the invocation brought no credentials for OSS; accepted: a role of the function that may do what deploy/ram-policy.json lists")
	}
	if left := time.Until(inv.Deadline); !inv.Deadline.IsZero() && left < o.Timeout+writeReserve {
		add("OCR_TIMEOUT: %s and %s to write the result do not fit the function's time-out, of which %s is left; accepted: a longer time-out, or a shorter OCR_TIMEOUT",
			o.Timeout, writeReserve, left.Round(time.Second))
	}
	if inv.Region == "" && o.Region == "" {
		add("region: neither the invocation nor FC_REGION tells it, so images that HTTP requests name fail; accepted: one like cn-hangzhou in FC_REGION")
	}
	if !inv.Deadline.IsZero() && o.RateLimit > 0 && time.Duration(float64(time.Second)/o.RateLimit) > time.Until(inv.Deadline) {
		add("OCR_RATE_LIMIT: with %g calls per second the second image waits longer than the function's time-out; accepted: a higher limit, or 0", o.RateLimit)
	}
	if o.DailyLimit > 0 && o.BudgetBucket == "" && o.PictureBudget == "" {
		add("OCR_DAILY_LIMIT: pictures in HTTP requests are refused, as there is no bucket for their day's budget; accepted: a bucket in OCR_BUDGET_BUCKET")
	}
	return problems
}
