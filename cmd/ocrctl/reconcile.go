package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/acsapi"
	"fc-idcard-ocr/internal/ctl/billing"
	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/ctl/marketclient"
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/safetext"

	"github.com/spf13/cobra"
)

// reconcileFlags are what the command line says.
type reconcileFlags struct {
	inventory.DocumentOptions
	product, endpoint, kind, since, snapshots string
	lag                                       time.Duration
	warnBelow                                 int64
	from                                      time.Time
}

// packages are the values of --package.
var packages = map[string]marketclient.Package{"": marketclient.AnyPackage, "calls": marketclient.CallPackage, "resource": marketclient.ResourcePack}

func newReconcile(s *settings) *cobra.Command {
	var f reconcileFlags
	c := &cobra.Command{
		Use:   "reconcile",
		Short: "Compare what the documents say was charged with the provider's meter",
		Long: `Compare what the documents say was charged with the provider's meter, and print how many calls are left.

The meter (DescribeApiMetering of Alibaba Cloud Market) returns totals only, so each run keeps a snapshot of it on this machine, and
compares the growth since an earlier snapshot with the documents that were completed in between. The first run has nothing to
compare with. The bucket is read only: one pass over the listing, and one read for each document written since that snapshot.

The verdict is equal, or that the provider metered more or fewer calls than documents were charged. Calls whose responses never
came (possible extra charges) explain more; so do images in work now. A charge within --lag of a snapshot may be metered on
either side of it. What remains unexplained has another cause: another user of the package, another bucket, pictures sent by
HTTP, ocrctl recognize, documents that were replaced or removed since.

Exit code 1: something is unexplained, or fewer calls than --warn-below are left.`,
		Example: `  ocrctl reconcile -b cards -r cn-hangzhou --product cmapi00012345 --warn-below 500
  ocrctl reconcile -b cards -r cn-hangzhou --since 2026-11-01
  ocrctl reconcile --sandbox`,
		Args: noArguments,
	}
	flags := c.Flags()
	s.bucketFlags(c)
	parallelFlag(flags, &f.Parallel)
	flags.StringVar(&f.product, "product", "", "product `code` of the API in the market [OCRCTL_MARKET_PRODUCT] (default the account's only one)")
	flags.StringVar(&f.kind, "package", "", "only packages of this `kind`: calls or resource")
	completeWords(c, "package", []string{"calls", "resource"})
	flags.StringVar(&f.endpoint, "market-endpoint", "", "`URL` of the market's API [OCRCTL_MARKET_ENDPOINT] (default "+marketclient.Endpoint+")")
	flags.StringVar(&f.since, "since", "", "compare with the last snapshot before this `time`: a date, a time, or a duration back from now (default the last snapshot)")
	flags.DurationVar(&f.lag, "lag", 15*time.Minute, "how late the meter may be: a `duration`")
	flags.Int64Var(&f.warnBelow, "warn-below", 0, "end with 1 if fewer than this `number` of calls are left")
	flags.StringVar(&f.snapshots, "snapshots", "", "`file` of the snapshots (default: one per account and product in ocrctl's folder of the user's cache)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := s.checkReconcile(&f); err != nil {
			return err
		}
		return s.reconcile(c.Context(), f)
	}
	return c
}

func (s *settings) checkReconcile(f *reconcileFlags) (err error) {
	f.product, f.endpoint = first(f.product, os.Getenv("OCRCTL_MARKET_PRODUCT")), first(f.endpoint, os.Getenv("OCRCTL_MARKET_ENDPOINT"))
	if f.from, err = parseSince(f.since, time.Now()); err != nil {
		return err
	}
	if s.sandboxInfo != nil {
		f.endpoint = first(f.endpoint, s.sandboxInfo.Market)
	}
	_, known := packages[f.kind]
	switch {
	case safetext.Token(f.product, "-_") != f.product:
		return usageError{message.Errorf("--product %q: accepted is a product code such as cmapi00012345", f.product)}
	case !known:
		return usageError{message.Errorf("--package %q: accepted are calls and resource", f.kind)}
	case f.lag < 0:
		return usageError{message.Errorf("--lag %s: accepted is 0 or more", f.lag)}
	case f.warnBelow < 0:
		return usageError{message.Errorf("--warn-below %d: accepted is a whole number from 0", f.warnBelow)}
	case f.endpoint == "" && s.sandboxInfo != nil:
		return usageError{message.Errorf("the sandbox that runs has no market API; start it anew")}
	}
	f.endpoint = first(f.endpoint, marketclient.Endpoint)
	if u, err := url.Parse(f.endpoint); err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && config.Loopback(u.Hostname())) {
		return usageError{message.Errorf("--market-endpoint %q: accepted is an https:// URL", f.endpoint)}
	}
	return nil
}

func (s *settings) reconcile(ctx context.Context, f reconcileFlags) error {
	s.parallel = f.Parallel
	conf, bucket, err := s.open()
	if err != nil {
		return err
	}
	f.Suffix = conf.ResultSuffix
	now, err := s.readMeter(ctx, f)
	if err != nil {
		return err
	}
	if f.snapshots == "" {
		if f.snapshots, err = s.snapshotFile(f, now.Meter); err != nil {
			return err
		}
	}
	known, err := billing.ReadSnapshots(f.snapshots)
	if err != nil {
		return usageError{err}
	}
	comparison := billing.Comparison{Verdict: billing.Baseline, To: now}
	failed := troubles{s: s}
	f.Unreadable = failed.unread
	if from, ok := billing.Before(known, f.from); ok {
		bar := s.progress("reading documents", -1)
		comparison, err = billing.Compare(ctx, bucket, f.DocumentOptions, conf.ClaimSuffix, from, now, f.lag)
		bar.end()
		if err != nil {
			return err
		}
	}
	if err := billing.AppendSnapshot(f.snapshots, now); err != nil {
		return err
	}
	if err := s.printComparison(comparison, f); err != nil {
		return err
	}
	if comparison.Unexplained > 0 || now.Left < f.warnBelow {
		return exitError{code: exitFailed}
	}
	return failed.err()
}

// readMeter reads the meter of the product that is named, or of the only one.
func (s *settings) readMeter(ctx context.Context, f reconcileFlags) (billing.Snapshot, error) {
	api := acsapi.Client{Endpoint: f.endpoint, Credentials: s.credentials()}
	meters, at, err := marketclient.Meters(ctx, api, f.product, packages[f.kind])
	switch {
	case err != nil:
		return billing.Snapshot{}, err
	case len(meters) == 0 && f.product != "":
		return billing.Snapshot{}, configurationError{message.Errorf("the account has no meter of the product %s; without --product the command names those it has", f.product)}
	case len(meters) == 0:
		return billing.Snapshot{}, configurationError{message.Errorf("the account has bought no API in the market")}
	case len(meters) > 1:
		var names []string
		for _, m := range meters {
			names = append(names, fmt.Sprintf("%s (%s)", onOneLine(m.Product), onOneLine(m.Name)))
		}
		return billing.Snapshot{}, usageError{message.Errorf("the account has bought several APIs; choose one with --product: %s", strings.Join(names, ", "))}
	}
	return billing.Snapshot{At: at.UTC().Truncate(time.Second), Meter: meters[0]}, nil
}

// snapshotFile is where the snapshots of a meter are kept: beside the checkpoints of backfills.
func (s *settings) snapshotFile(f reconcileFlags, m marketclient.Meter) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", configurationError{message.Errorf("there is no folder for the meter's snapshots; name a file with --snapshots: %w", err)}
	}
	sum := sha256.Sum256([]byte(f.endpoint + "\n" + s.profile + "\n" + strconv.FormatInt(m.Account, 10) + "\n" + f.kind + "\n" + m.Product))
	return filepath.Join(cache, "ocrctl", "meter-"+hex.EncodeToString(sum[:6])+".jsonl"), nil
}

func (s *settings) printComparison(c billing.Comparison, f reconcileFlags) error {
	if s.json() {
		return s.print(struct {
			Bucket    string `json:"bucket"`
			WarnBelow int64  `json:"warnBelow,omitempty"`
			Low       bool   `json:"low"` // fewer calls than WarnBelow are left
			billing.Comparison
			Snapshots string `json:"snapshots"`
		}{s.bucket, f.warnBelow, c.To.Left < f.warnBelow, c, f.snapshots})
	}
	var b strings.Builder
	message.Fprintf(&b, "meter     %s (%s): %d used, %d left of %d", onOneLine(c.To.Product), onOneLine(c.To.Name), c.To.Used, c.To.Left, c.To.Capacity)
	if c.To.Left < f.warnBelow {
		message.Fprintf(&b, "; WARNING: fewer than %d", f.warnBelow)
	}
	b.WriteByte('\n')
	if c.Verdict == billing.Baseline {
		why := message.Key("this is the first snapshot")
		if c.Metered < 0 {
			why = "the meter has gone back since the snapshot before: it is that of another package, or was set back"
		}
		message.Fprintf(&b, "verdict   nothing to compare with: %s; run the command again later\n", message.Text(why))
	} else {
		s.describeComparison(&b, c, f)
	}
	_, err := io.WriteString(s.stdout, b.String())
	return err
}

func (s *settings) describeComparison(b *strings.Builder, c billing.Comparison, f reconcileFlags) {
	message.Fprintf(b, "from      %s\nto        %s\nmetered   %d calls\ncharged   %d calls by the documents", c.From.At.Format(time.RFC3339), c.To.At.Format(time.RFC3339), c.Metered, c.Charged)
	if c.Extra > 0 {
		message.Fprintf(b, ", and %d more that may have been charged, as their responses never came", c.Extra)
	}
	switch c.Verdict {
	case billing.Equal:
		b.WriteString(message.Text("\nverdict   equal\n"))
	case billing.More:
		message.Fprintf(b, "\nverdict   the provider metered %d more, of which %d are explained by calls whose responses never came", c.Difference, c.Open)
		if c.Timing > 0 {
			message.Fprintf(b, ", and %d can be by timing: charged within %s of a snapshot, or by images in work (%d now)", c.Timing, f.lag, c.InWork)
		}
		b.WriteByte('\n')
	case billing.Less:
		message.Fprintf(b, "\nverdict   the provider metered %d fewer", c.Difference)
		if c.Timing > 0 {
			message.Fprintf(b, ", of which %d can be explained by timing: charged within %s of a snapshot", c.Timing, f.lag)
		}
		b.WriteByte('\n')
	}
	if c.Unexplained > 0 {
		message.Fprintf(b, "WARNING   %d calls are not explained. Possible causes: %s\n", c.Unexplained, message.Text(map[billing.Verdict]message.Key{
			billing.More: "another user of the package, such as another bucket; pictures sent by HTTP; ocrctl recognize; documents that were replaced or removed since; a meter that is later than --lag",
			billing.Less: "a meter that is later than --lag; calls that are paid from another product or package",
		}[c.Verdict]))
	}
	const named = 20
	for i, open := range c.OpenCalls {
		if i == named {
			message.Fprintf(b, "  and %d more images; --output json names them\n", len(c.OpenCalls)-named)
			break
		}
		message.Fprintf(b, "  %s  %d calls that may have been charged: %s\n", open.CompletedAt.UTC().Format(time.RFC3339), open.Calls, onOneLine(s.key(open.Key)))
	}
}
