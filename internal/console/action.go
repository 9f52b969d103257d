package console

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"fc-idcard-ocr/internal/ctl/backfill"
	"fc-idcard-ocr/internal/ctl/ossclient"
)

// MaxAction is the most images that one action may be about.
const MaxAction = 1000

// Action asks for images to be recognised again. Without Confirm it changes nothing and returns the cost.
type Action struct {
	Action string   `json:"action"` // ActionRetry or ActionForce
	IDs    []string `json:"ids"`
	// Confirm carries it out, if Images is still how many it is about.
	Confirm bool `json:"confirm"`
	Images  int  `json:"images"`
}

// Plan is what an action would do.
type Plan struct {
	Images int `json:"images"`
	// Skipped are images for which the action is not possible: gone, under way, or final for a retry.
	Skipped int `json:"skipped"`
	// Calls is how many calls are charged, if each image is recognised at the first.
	Calls int     `json:"calls"`
	Yuan  float64 `json:"yuan,omitempty"`
	// Documents is how many documents are removed first, so that they are made anew.
	Documents int `json:"documents"`
}

// Done is what became of an action.
type Done struct {
	Submitted int `json:"submitted"`
	Skipped   int `json:"skipped"`
	Failed    int `json:"failed"`
	// Problem is why the first one failed.
	Problem string `json:"problem,omitempty"`
}

// possible reports whether the action can be carried out on the row, and whether its document is removed for it.
func (r *row) possible(c *Config, action string) (possible, removes bool) {
	final := false
	switch r.state(c) {
	case StateWorking, StateUnread, StateForeign:
		return false, false
	case StateWaiting, StateStale, StateRetrying:
	case StateFailed:
		final = r.entry.UpToDate() && !r.facts.retryable
	default:
		final = true
	}
	return action == ActionForce || !final, final
}

func (s *Server) postAction(w http.ResponseWriter, r *http.Request) {
	if s.config.Function == nil {
		refuse(w, http.StatusForbidden, "NotAllowed", "this console can only look; give it the function's account to let it act")
		return
	}
	var action Action
	if !decode(w, r, &action) {
		return
	}
	if (action.Action != ActionRetry && action.Action != ActionForce) || len(action.IDs) == 0 || len(action.IDs) > MaxAction {
		refuse(w, http.StatusBadRequest, "BadRequest", "accepted are the actions retry and force, on 1 to 1000 images")
		return
	}
	plan := Plan{}
	var rows []row
	for _, id := range action.IDs {
		found, ok := s.index.row(id)
		possible, removes := false, false
		if ok {
			possible, removes = found.possible(&s.config, action.Action)
		}
		if !possible {
			plan.Skipped++
			continue
		}
		rows = append(rows, found)
		plan.Images++
		plan.Calls++
		if removes {
			plan.Documents++
		}
	}
	plan.Yuan = float64(plan.Calls) * s.config.Price
	if !action.Confirm {
		respond(w, http.StatusOK, plan)
		return
	}
	if action.Images != plan.Images {
		refuse(w, http.StatusConflict, "Changed", "the images have changed meanwhile; look at the cost again")
		return
	}
	// What is paid for must not hang on a page that is closed in between.
	respond(w, http.StatusOK, s.carryOut(context.WithoutCancel(r.Context()), action.Action, rows, plan))
}

// carryOut submits the images, several at a time, and stops at the first that cannot be submitted for a reason that the others share.
func (s *Server) carryOut(ctx context.Context, action string, rows []row, plan Plan) Done {
	done := Done{Skipped: plan.Skipped}
	var submitted atomic.Int64
	var group errgroup.Group
	group.SetLimit(s.config.Parallel)
	for _, found := range rows {
		group.Go(func() error {
			if err := s.submit(ctx, action, &found); err != nil {
				return err
			}
			submitted.Add(1)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		s.config.Log.Warn("an image could not be submitted", "reason", err)
		done.Problem = err.Error()
	}
	done.Submitted = int(submitted.Load())
	done.Failed = len(rows) - done.Submitted
	for _, found := range rows {
		if err := s.index.refresh(ctx, found.entry.Key); err != nil {
			s.config.Log.Debug("an image could not be listed", "reason", err)
			break
		}
	}
	s.hub.changed()
	return done
}

// errChanged says that the document is not the one any more that the person saw.
var errChanged = errors.New("the document was made anew meanwhile")

// submit hands the image to the function. A final document would count as done there: it is removed first, if it is still the one that
// was shown.
func (s *Server) submit(ctx context.Context, action string, r *row) error {
	_, removes := r.possible(&s.config, action)
	if action == ActionForce && s.config.Activity != nil {
		return s.config.Activity.Force(ctx, r.entry.Key)
	}
	if removes {
		key := s.config.Keys.Result(r.entry.Key)
		d, err := readDocument(ctx, s.config.Bucket, key)
		switch {
		case ossclient.NotFound(err):
		case err != nil:
			return err
		case d == nil || !d.CompletedAt.Equal(r.facts.completed):
			return errChanged
		default:
			if err := s.config.Bucket.Remove(ctx, key); err != nil {
				return err
			}
		}
	}
	_, err := s.config.Function.InvokeAsync(ctx, backfill.UploadEvent(s.config.Bucket.Name(), s.config.Region, *r.entry.Image, s.config.Now()))
	return err
}
