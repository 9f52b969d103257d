package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/budget"
	"fc-idcard-ocr/internal/message"

	"github.com/spf13/cobra"
)

// budgetFlags are what the command line says.
type budgetFlags struct {
	day        string
	limit      int
	limitGiven bool
}

func newBudget(s *settings) *cobra.Command {
	f := budgetFlags{}
	c := &cobra.Command{
		Use:   "budget {show | pause | resume | set CALLS}",
		Short: "Show, pause or change the paid calls that the function may make in a day",
		Long: `Show, pause or change the paid calls that the function may make in a day, over all its instances. The command reads and
writes the same object of the bucket as the function (.fc-idcard-ocr/budget/<day>), so a change takes effect within 15 seconds and needs no
deployment.

"show" prints the current limit, how many calls the instances have reserved, and how many calls they have reported, by hour. After
"pause" no call is started: images get a retryable document with the code BudgetExhausted; "resume" ends the pause. "set" changes
the limit of the day; 0 allows no call. With another limit, instances may still use the calls that they have reserved.

A change is valid for one day, which begins and ends at midnight in China (Asia/Shanghai); the next day has OCR_DAILY_LIMIT again. A
function without OCR_DAILY_LIMIT (0) does not read the object: pause, resume and set then fail. The variables of the
function are read from Function Compute if --account, --fc-endpoint or --sandbox is given.`,
		Example: `  ocrctl budget show -b cards -r cn-hangzhou --account 1234567890123456
  ocrctl budget pause -b cards -r cn-hangzhou
  ocrctl budget set 500 -b cards -r cn-hangzhou --day 2026-11-26`,
		ValidArgs: []string{"show", "pause", "resume", "set"},
		Args:      func(_ *cobra.Command, args []string) error { _, err := parseOrder(args); return err },
	}
	s.bucketFlags(c)
	s.functionFlags(c.Flags())
	c.Flags().StringVar(&f.day, "day", "", "`day` in China, such as 2026-11-25 (default today)")
	c.Flags().IntVar(&f.limit, "limit", 0, "`OCR_DAILY_LIMIT` of the function, for show, if Function Compute cannot be asked")
	c.RunE = func(c *cobra.Command, args []string) error {
		order, err := parseOrder(args)
		if err != nil {
			return usageError{err}
		}
		if f.day == "" {
			f.day = budget.Day(time.Now())
		}
		f.limitGiven = c.Flags().Changed("limit")
		switch _, err := time.Parse(time.DateOnly, f.day); {
		case err != nil:
			return usageError{message.Errorf("--day %q: accepted is a date such as 2026-11-25", f.day)}
		case f.limit < 0:
			return usageError{message.Errorf("--limit %d: accepted is a whole number from 0", f.limit)}
		}
		return s.budget(c.Context(), f, order)
	}
	return c
}

// parseOrder reads the arguments. Show is no order: nil.
func parseOrder(args []string) (*budget.Entry, error) {
	yes, no := true, false
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch {
	case verb == "set" && len(args) == 2:
		n, err := strconv.Atoi(args[1])
		if err != nil || n < 0 {
			return nil, message.Errorf("budget set %q: accepted is a whole number of calls from 0", args[1])
		}
		return &budget.Entry{Limit: &n}, nil
	case len(args) != 1:
	case verb == "show":
		return nil, nil
	case verb == "pause":
		return &budget.Entry{Paused: &yes}, nil
	case verb == "resume":
		return &budget.Entry{Paused: &no}, nil
	}
	return nil, message.Errorf("accepted are: budget show, budget pause, budget resume, budget set CALLS")
}

func (s *settings) budget(ctx context.Context, f budgetFlags, order *budget.Entry) error {
	conf, err := s.config(false)
	if err != nil {
		return err
	}
	if err := s.resolveTarget(); err != nil {
		return err
	}
	deployed, err := s.deployedVariables(ctx)
	switch {
	case err != nil && order == nil:
		return err
	case err != nil: // an order must not wait for another service
		s.note("The function's variables are not known: %v", err)
	}
	state := budgetState{Bucket: first(deployed["OCR_BUDGET_BUCKET"], os.Getenv("OCR_BUDGET_BUCKET"), s.bucket), Day: f.day, LimitFrom: "unknown"}
	if f.limitGiven {
		state.setLimit(f.limit, "--limit")
	}
	if deployed != nil {
		limit, err := strconv.Atoi(first(deployed["OCR_DAILY_LIMIT"], "0"))
		if err != nil {
			return configurationError{message.Errorf("the function's OCR_DAILY_LIMIT is no whole number")}
		}
		state.setLimit(limit, "OCR_DAILY_LIMIT")
		if limit == 0 && order != nil {
			return configurationError{message.Errorf("the function %s has no OCR_DAILY_LIMIT, so it does not read the budget and no order would reach it; deploy it with one", s.functionName())}
		}
	}
	store, err := s.openWritable(ctx, conf, state.Bucket, bucket.Config{})
	if err != nil {
		return err
	}
	key := budget.Key(f.day, first(deployed["CLAIM_SUFFIX"], conf.ClaimSuffix))
	var ledger budget.Ledger
	if order != nil {
		order.At, order.By = time.Now().UTC().Truncate(time.Second), "ocrctl"
		ledger, err = budget.Order(ctx, store, key, *order)
	} else {
		ledger, err = budget.Read(ctx, store, key)
	}
	if err != nil {
		return writableError(err)
	}
	return s.printBudget(state.with(ledger), order != nil && deployed == nil)
}

// deployedVariables are the environment of the function, nil if it is not known how to ask for it.
func (s *settings) deployedVariables(ctx context.Context) (map[string]string, error) {
	if s.sandboxInfo == nil && first(s.accountID, s.fcEndpoint, os.Getenv("OCRCTL_ACCOUNT"), os.Getenv("OCRCTL_FC_ENDPOINT")) == "" {
		return nil, nil
	}
	client, err := s.functions()
	if err != nil {
		return nil, err
	}
	f, err := client.Describe(ctx)
	return f.EnvironmentVariables, err
}

// budgetState is what is shown.
type budgetState struct {
	Bucket string `json:"bucket"`
	Day    string `json:"day"`
	// Limit is that in force, nil if it is not known; LimitFrom is where it comes from: order (of this command),
	// OCR_DAILY_LIMIT, --limit or unknown.
	Limit       *int           `json:"limit"`
	LimitFrom   string         `json:"limitFrom"`
	Paused      bool           `json:"paused"`
	Reserved    int            `json:"reserved"`
	Spent       int            `json:"spent"` // as far as instances have reported
	SpentByHour map[string]int `json:"spentByHour"`
}

func (b *budgetState) setLimit(limit int, from string) { b.Limit, b.LimitFrom = &limit, from }

func (b budgetState) with(l budget.Ledger) budgetState {
	if l.Limit != nil {
		b.setLimit(*l.Limit, "order")
	}
	b.Paused, b.Reserved, b.SpentByHour = l.Paused, l.Reserved, map[string]int{}
	for hour, n := range l.SpentByHour {
		if _, err := time.Parse("15", hour); err == nil { // anybody may have written the line
			b.SpentByHour[hour] = n
			b.Spent += n
		}
	}
	return b
}

func (s *settings) printBudget(b budgetState, blind bool) error {
	if blind {
		s.note("The order was written. It reaches functions that have an OCR_DAILY_LIMIT; with --account this command checks that.")
	}
	if s.json() {
		return s.print(b)
	}
	var text strings.Builder
	message.Fprintf(&text, "day       %s, midnight to midnight in China\n", b.Day)
	switch {
	case b.Limit == nil:
		text.WriteString(message.Text("limit     not known: name --account, or the function's OCR_DAILY_LIMIT with --limit\n"))
	case *b.Limit == 0 && b.LimitFrom != "order":
		text.WriteString(message.Text("limit     none: OCR_DAILY_LIMIT is 0, so the function does not look at the budget\n"))
	default:
		message.Fprintf(&text, "limit     %d calls (%s)\n", *b.Limit, limitOrigin(b.LimitFrom))
	}
	state := message.Key("no")
	if b.Paused {
		state = "yes; `ocrctl budget resume` ends it"
	}
	message.Fprintf(&text, "paused    %s\nreserved  %d calls by instances\nspent     %d calls, as far as instances have told\n", message.Text(state), b.Reserved, b.Spent)
	for _, hour := range slices.Sorted(maps.Keys(b.SpentByHour)) {
		fmt.Fprintf(&text, "  %s:00   %d\n", hour, b.SpentByHour[hour])
	}
	_, err := io.WriteString(s.stdout, text.String())
	return err
}

func limitOrigin(from string) string {
	if from == "order" {
		return message.Text("ordered for this day")
	}
	return from
}
