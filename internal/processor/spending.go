package processor

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"fc-idcard-ocr/internal/budget"
	"fc-idcard-ocr/internal/result"
	"fc-idcard-ocr/ocrclient"
)

// budgets are the day's budgets of this process, by bucket.
type budgets struct {
	mu sync.Mutex
	of map[string]*budget.Budget
}

// spending is the budget from which the calls of one image are paid. Its zero value has no limit.
type spending struct {
	budget *budget.Budget
	store  Bucket
}

// spending returns the budget for an image in a bucket, which store is; for a picture that came with a request both are
// empty.
func (p *Processor) spending(name string, store Bucket, inv Invocation) (spending, *result.Error) {
	o := p.options
	if o.DailyLimit == 0 {
		return spending{}, nil
	}
	holder := cmp.Or(o.BudgetBucket, name, o.PictureBudget)
	if holder != name {
		var err error
		name = holder
		if store, err = p.OpenBucket(name, "", inv, p.Logger(inv, result.Image{})); err != nil {
			return spending{}, result.Errorf(result.AccessDenied, true, "the bucket of the budget: %v", err)
		}
	}
	if store == nil {
		return spending{}, result.Errorf(result.BudgetExhausted, false, "OCR_DAILY_LIMIT needs a bucket for the day's budget; set OCR_BUDGET_BUCKET")
	}
	p.budgets.mu.Lock()
	defer p.budgets.mu.Unlock()
	if p.budgets.of == nil {
		p.budgets.of = map[string]*budget.Budget{}
	}
	if p.budgets.of[name] == nil {
		p.budgets.of[name] = budget.New(o.DailyLimit, o.Keys.ClaimSuffix)
	}
	return spending{p.budgets.of[name], store}, nil
}

// take takes one call from the budget.
func (s spending) take(ctx context.Context) *result.Error {
	if s.budget == nil {
		return nil
	}
	err := s.budget.Take(ctx, s.store)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, budget.ErrExhausted), errors.Is(err, budget.ErrPaused):
		return result.Errorf(result.BudgetExhausted, true, "%v", err)
	}
	e := StorageError(err) // without its reservation no call is made
	e.Retryable = true
	e.Message = "the day's budget: " + e.Message
	return e
}

// settle gives a call back that the gateway surely did not accept.
func (s spending) settle(err error) {
	var e *ocrclient.Error
	if !errors.As(err, &e) || e.PassedOn {
		return
	}
	switch e.Outcome {
	case ocrclient.NotSent, ocrclient.Refused, ocrclient.Configuration, ocrclient.NonceUsed:
		s.giveBack()
	}
}

// giveBack gives a call back that was not made.
func (s spending) giveBack() {
	if s.budget != nil {
		s.budget.GiveBack()
	}
}
