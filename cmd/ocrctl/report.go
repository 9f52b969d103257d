package main

import (
	"context"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"fc-idcard-ocr/internal/ctl/billing"
	"fc-idcard-ocr/internal/ctl/display"
	"fc-idcard-ocr/internal/ctl/export"
	"fc-idcard-ocr/internal/ctl/inventory"
	"fc-idcard-ocr/internal/message"

	"github.com/spf13/cobra"
)

// reportFlags are what the command line says.
type reportFlags struct {
	inventory.DocumentOptions
	month, by, format string
	price             float64
}

func newReport(s *settings) *cobra.Command {
	var f reportFlags
	c := &cobra.Command{
		Use:   "report --month YYYY-MM",
		Short: "Add up a month's images and charges, per folder or day",
		Long: `Add up a month's images and charges, per folder or day, from the documents: one pass over the listing, and one read for each
document that was written since the month began. A month begins and ends at midnight in China (Asia/Shanghai), as bills do; a
document counts in the month in which it was completed. Nothing is written to the bucket.

The folder is the first path segment of the key, or with --prefix the next one. "charged" are responses that were paid; "extra"
are further calls that may have been paid because their responses never came. With --price, "yuan" is for the charged ones and
"at most" includes the extra ones.

The report does not include calls without a document: those of a document that was replaced because its image was replaced or a call
was forced, of images sent by HTTP, and of ocrctl recognize. ocrctl reconcile compares with the provider's meter.`,
		Example: `  ocrctl report -b cards -r cn-hangzhou --month 2026-11 --price 0.05
  ocrctl report -b cards -r cn-hangzhou --month 2026-11 --by day --format csv > november.csv
  ocrctl report --sandbox --month 2026-11 --output json`,
		Args: noArguments,
	}
	flags := c.Flags()
	s.listingFlags(c, &f.Prefix, &f.Parallel)
	flags.StringVarP(&f.month, "month", "m", "", "`month`, such as 2026-11 (required)")
	flags.StringVar(&f.by, "by", "prefix", "what a line is about: `prefix or day`")
	completeWords(c, "by", []string{"prefix", "day"})
	flags.Float64Var(&f.price, "price", 0, "`price` of a call in yuan")
	flags.StringVarP(&f.format, "format", "F", "", "`format`: text, csv or json (default text, or json with --output json)")
	completeWords(c, "format", []string{"text", "csv", "json"})
	c.RunE = func(c *cobra.Command, _ []string) error {
		if f.format == "" {
			f.format = s.output
		}
		if f.month == "" {
			return usageError{message.Errorf("no month; name it with --month, such as 2026-11")}
		}
		month, err := billing.ParseMonth(f.month)
		switch {
		case err != nil:
			return usageError{message.Errorf("--month %w", err)}
		case f.by != "prefix" && f.by != "day":
			return usageError{message.Errorf("--by %q: accepted are prefix and day", f.by)}
		case !(f.price >= 0 && f.price < 1e6):
			return usageError{message.Errorf("--price %v: accepted is 0 or more, such as 0.05", f.price)}
		case !slices.Contains([]string{"text", "csv", "json"}, f.format):
			return usageError{message.Errorf("--format %q: accepted are text, csv and json", f.format)}
		}
		return s.report(c.Context(), f, month)
	}
	return c
}

func (s *settings) report(ctx context.Context, f reportFlags, month billing.Month) error {
	s.parallel = f.Parallel
	conf, bucket, err := s.open()
	if err != nil {
		return err
	}
	f.Suffix = conf.ResultSuffix
	by := billing.By(billing.ByDay)
	if f.by == "prefix" {
		by = billing.ByFolder(f.Prefix)
	}
	failed := troubles{s: s}
	f.Unreadable = failed.unread
	bar := s.progress("reading documents", -1)
	r, err := billing.Monthly(ctx, bucket, f.DocumentOptions, month, by, bar.at)
	bar.end()
	if err != nil {
		return err
	}
	switch f.format {
	case "json":
		err = s.printReportJSON(r, f, month)
	case "csv":
		err = s.printReportCSV(r, f)
	default:
		err = s.printReport(r, f, month)
	}
	if err != nil {
		return err
	}
	return failed.err()
}

// cost returns the price of the paid calls, and of those that may be paid as well, in yuan.
func (f reportFlags) cost(t billing.Totals) (yuan, atMost float64) {
	round := func(x float64) float64 { return math.Round(x*1e4) / 1e4 }
	return round(float64(t.Charged) * f.price), round(float64(t.Charged+t.Extra) * f.price)
}

func (s *settings) printReportJSON(r billing.Report, f reportFlags, month billing.Month) error {
	type priced struct {
		billing.Totals
		Yuan       *float64 `json:"yuan,omitempty"`       // of charged, if --price was given
		YuanAtMost *float64 `json:"yuanAtMost,omitempty"` // with possibleExtraCharges
	}
	price := func(t billing.Totals) priced {
		p := priced{Totals: t}
		if yuan, atMost := f.cost(t); f.price > 0 {
			p.Yuan, p.YuanAtMost = &yuan, &atMost
		}
		return p
	}
	type line struct {
		Name string `json:"name"`
		priced
	}
	lines := []line{}
	for _, g := range r.Groups {
		lines = append(lines, line{g.Name, price(g.Totals)})
	}
	return s.print(struct {
		Bucket     string  `json:"bucket"`
		Prefix     string  `json:"prefix"`
		Month      string  `json:"month"`
		By         string  `json:"by"`
		Price      float64 `json:"price,omitempty"`
		Groups     []line  `json:"groups"`
		Total      priced  `json:"total"`
		Unreadable int64   `json:"unreadable"`
	}{s.bucket, f.Prefix, month.String(), f.by, f.price, lines, price(r.Total), r.Unreadable})
}

// cells are the numbers of a line, as text. Without a price there is no cost.
func (f reportFlags) cells(t billing.Totals) (cells []string) {
	for _, n := range []int64{t.Images, t.Charged, t.Extra, t.Recognized, t.Unrecognized, t.Failed, t.Reused} {
		cells = append(cells, strconv.FormatInt(n, 10))
	}
	if f.price > 0 {
		for _, amount := range f.amounts(t) {
			cells = append(cells, strconv.FormatFloat(amount, 'f', 2, 64))
		}
	}
	return cells
}

func (f reportFlags) amounts(t billing.Totals) []float64 {
	yuan, atMost := f.cost(t)
	return []float64{yuan, atMost}
}

func (f reportFlags) header(columns ...string) []string {
	if f.price == 0 {
		return columns[:len(columns)-2]
	}
	return columns
}

func (s *settings) printReportCSV(r billing.Report, f reportFlags) error {
	w, err := export.NewSheet(s.stdout)
	if err != nil {
		return err
	}
	w.Write(f.header(f.by, "images", "charged", "possibleExtraCharges", "recognized", "unrecognized", "failed", "reused", "yuan", "yuanAtMost")) //nolint:errcheck // Flush keeps the error
	for _, g := range r.Groups {
		w.Write(append([]string{export.Cell(g.Name)}, f.cells(g.Totals)...)) //nolint:errcheck // likewise
	}
	w.Flush()
	return w.Error()
}

func (s *settings) printReport(r billing.Report, f reportFlags, month billing.Month) error {
	var text strings.Builder
	message.Fprintf(&text, "%s of bucket %s, by date of completion in China\n\n", month, s.bucket)
	by := message.Key("prefix")
	if f.by == "day" {
		by = "day"
	}
	rows := [][]string{append(f.header(message.Text("images"), message.Text("charged"), message.Text("extra"), message.Text("recognized"), message.Text("unrecognized"), message.Text("failed"), message.Text("reused"), message.Text("yuan"), message.Text("at most")), message.Text(by))}
	for _, g := range r.Groups {
		name := onOneLine(s.key(g.Name))
		if name == "" {
			name = message.Text("(no folder)")
		}
		rows = append(rows, append(f.cells(g.Totals), name))
	}
	rows = append(rows, append(f.cells(r.Total), message.Text("total")))
	if err := display.Columns(&text, rows); err != nil {
		return err
	}
	_, err := io.WriteString(s.stdout, text.String())
	return err
}

// onOneLine quotes a text that could move the cursor.
func onOneLine(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsGraphic(r) }) {
		return strconv.QuoteToGraphic(text)
	}
	return text
}
