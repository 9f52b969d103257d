package main

import (
	"encoding/json"
	"testing"
	"time"

	"fc-idcard-ocr/internal/budget"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (c *cloud) budget() *budget.Budget { return budget.New(100, ".ocr.claim") }

func TestBudgetOrdersReachTheFunction(t *testing.T) {
	c := start(t)
	c.description["environmentVariables"] = map[string]string{"OCR_DAILY_LIMIT": "100"}
	require.NoError(t, c.budget().Take(t.Context(), c.bucket))
	for _, step := range []struct {
		args []string
		want error // of the next instance
	}{
		{[]string{"show"}, nil},
		{[]string{"pause"}, budget.ErrPaused},
		{[]string{"resume"}, nil},
		{[]string{"set", "0"}, budget.ErrExhausted},
		{[]string{"set", "200"}, nil},
	} {
		r := c.run(append([]string{"budget"}, step.args...)...)
		require.Equal(t, 0, r.code, r.stderr)
		assert.ErrorIs(t, c.budget().Take(t.Context(), c.bucket), step.want, step.args)
	}
}

func TestBudgetShowsLimitReservedAndSpent(t *testing.T) {
	c := start(t)
	c.description["environmentVariables"] = map[string]string{"OCR_DAILY_LIMIT": "100"}
	b := c.budget()
	for range 30 {
		require.NoError(t, b.Take(t.Context(), c.bucket))
	}
	_, err := budget.Order(t.Context(), c.bucket, budget.Key(budget.Day(time.Now()), ".ocr.claim"), budget.Entry{SpentByHour: map[string]int{"\x1b[2J": 7}})
	require.NoError(t, err)
	r := c.run("budget", "show", "-o", "json")
	require.Equal(t, 0, r.code, r.stderr)
	var got budgetState
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &got))
	require.NotNil(t, got.Limit)
	assert.Equal(t, 100, *got.Limit)
	assert.Equal(t, "OCR_DAILY_LIMIT", got.LimitFrom)
	assert.GreaterOrEqual(t, got.Reserved, 30)
	assert.Positive(t, got.Spent)
	assert.LessOrEqual(t, got.Spent, 30)
	assert.LessOrEqual(t, len(got.SpentByHour), 2, "what is no hour is left out")

	c.run("budget", "pause")
	c.run("budget", "set", "70")
	r = c.run("budget", "show")
	assert.Contains(t, r.stdout, "70 calls (ordered for this day)")
	assert.Contains(t, r.stdout, "paused    yes")
	assert.NotContains(t, r.stdout, "\x1b")
	r = c.run("budget", "show", "--day", "2026-11-25")
	assert.Contains(t, r.stdout, "100 calls (OCR_DAILY_LIMIT)")
	assert.Contains(t, r.stdout, "paused    no")
}

func TestAnOrderThatNoFunctionReadsFails(t *testing.T) {
	c := start(t)
	c.description["environmentVariables"] = map[string]string{"OCR_DAILY_LIMIT": "0"}
	for _, order := range [][]string{{"pause"}, {"resume"}, {"set", "5"}} {
		r := c.run(append([]string{"budget"}, order...)...)
		assert.Equal(t, exitConfiguration, r.code)
		assert.Contains(t, r.stderr, "no order would reach it")
	}
	ledger, err := budget.Read(t.Context(), c.bucket, budget.Key(budget.Day(time.Now()), ".ocr.claim"))
	require.NoError(t, err)
	assert.Equal(t, budget.Ledger{}, withoutLength(ledger), "nothing was written")
	r := c.run("budget", "show")
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stdout, "does not look at the budget")

	delete(c.description, "environmentVariables") // it cannot be read
	r = c.run("budget", "pause")
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stderr, "reaches functions that have an OCR_DAILY_LIMIT")
	r = c.run("budget", "show", "--limit", "40")
	assert.Contains(t, r.stdout, "40 calls (--limit)")
	assert.Contains(t, c.run("budget", "show").stdout, "not known")
}

func withoutLength(l budget.Ledger) budget.Ledger {
	return budget.Ledger{Reserved: l.Reserved, SpentByHour: l.SpentByHour, Limit: l.Limit, Paused: l.Paused}
}

func TestAPauseDoesNotWaitForFunctionCompute(t *testing.T) {
	c := start(t)
	r := c.run("budget", "pause", "--function", "unknown")
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stderr, "not known: Function Compute")
	assert.ErrorIs(t, c.budget().Take(t.Context(), c.bucket), budget.ErrPaused)
	assert.Equal(t, exitConfiguration, c.run("budget", "show", "--function", "unknown").code)
}

func TestBudgetRefusesWhatItDoesNotKnow(t *testing.T) {
	c := start(t)
	for _, args := range [][]string{{}, {"stop"}, {"show", "2"}, {"set"}, {"set", "-1"}, {"set", "many"}, {"set", "1", "2"}, {"pause", "1"}, {"show", "--day", "today"}, {"show", "--limit", "-2"}} {
		r := c.run(append([]string{"budget"}, args...)...)
		assert.Equal(t, exitUsage, r.code, "%v: %s", args, r.stderr)
	}
	assert.Empty(t, c.seen())
}
