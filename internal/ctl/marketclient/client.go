// Package marketclient asks Alibaba Cloud Market how many calls of an API were metered and how many are left (action
// DescribeApiMetering, version 2015-11-01: help.aliyun.com/document_detail/447490.html). It changes nothing.
package marketclient

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"fc-idcard-ocr/internal/ctl/acsapi"
)

const (
	// Endpoint is the API's address; the vendor's SDK has it for cn-hangzhou, and another one for other regions.
	Endpoint = "https://market.aliyuncs.com"
	// Version is that of the API.
	Version = "2015-11-01"
	// maxPages bounds how many pages are read. A page has 20 rows by the documentation's example.
	maxPages = 100
)

// Package is the kind of package that a meter is about.
type Package int

// The kinds; the API calls the parameter type.
const (
	AnyPackage   Package = 0 // the parameter is not sent
	CallPackage  Package = 1 // 套餐包
	ResourcePack Package = 2 // 资源包
)

// Meter is what the provider's meter says of one product. It has no time range: all counts are totals.
type Meter struct {
	Product  string `json:"product"` // product code, such as cmapi00012345
	Name     string `json:"name"`
	Used     int64  `json:"used"`
	Left     int64  `json:"left"`
	Capacity int64  `json:"capacity"`
	Unit     string `json:"unit"` // such as 次
	Account  int64  `json:"-"`    // ID of the account; 0 if the API does not return it
}

// Meters asks for the meters of a product, or of all that the account has bought if product is empty, by product code. Rows of
// one product, such as two packages, are added up. at is the time of the API's own clock, or of this machine's if the API returns none.
func Meters(ctx context.Context, api acsapi.Client, product string, kind Package) (meters []Meter, at time.Time, err error) {
	api.API, api.Version = "Alibaba Cloud Market", Version
	at = time.Now()
	sums := map[string]Meter{}
	for page, rows := 1, 0; page <= maxPages; page++ {
		query := url.Values{"pageNum": {strconv.Itoa(page)}}
		if product != "" {
			query.Set("productCode", product)
		}
		if kind != AnyPackage {
			query.Set("type", strconv.Itoa(int(kind)))
		}
		response, err := api.Call(ctx, acsapi.Request{Method: http.MethodGet, Action: "DescribeApiMetering", Path: "/", Query: query})
		if err != nil {
			return nil, at, err
		}
		if !response.Date.IsZero() {
			at = response.Date
		}
		var told struct {
			Success *bool
			Code    string
			Count   int
			Result  []struct {
				ProductCode, ProductName, Unit        string
				TotalUsage, TotalQuota, TotalCapacity int64
				AliyunPk                              int64
			}
		}
		if err := response.Decode(&told); err != nil {
			return nil, at, err
		}
		if told.Success != nil && !*told.Success {
			return nil, at, response.Refused(told.Code)
		}
		for _, r := range told.Result {
			if product != "" && r.ProductCode != product {
				continue
			}
			m := sums[r.ProductCode]
			sums[r.ProductCode] = Meter{Product: r.ProductCode, Name: r.ProductName, Unit: r.Unit, Used: m.Used + r.TotalUsage, Left: m.Left + r.TotalQuota, Capacity: m.Capacity + r.TotalCapacity, Account: r.AliyunPk}
		}
		if rows += len(told.Result); len(told.Result) == 0 || rows >= told.Count {
			break
		}
	}
	for _, code := range slices.Sorted(maps.Keys(sums)) {
		meters = append(meters, sums[code])
	}
	return meters, at, nil
}
