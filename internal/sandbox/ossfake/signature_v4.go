package ossfake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The V4 signature as documented at
// https://help.aliyun.com/zh/oss/developer-reference/recommend-to-use-signature-version-4 (header) and
// https://help.aliyun.com/zh/oss/developer-reference/add-signatures-to-urls (query).
const (
	v4Algorithm       = "OSS4-HMAC-SHA256"
	v4Product         = "oss"
	v4Terminator      = "aliyun_v4_request"
	v4UnsignedPayload = "UNSIGNED-PAYLOAD"
	v4TimeFormat      = "20060102T150405Z"
	v4DayFormat       = "20060102"
	// A presigned URL lives 1 second to 7 days (https://help.aliyun.com/zh/oss/user-guide/0002-00000232).
	v4MaxExpires = 604800
)

// v4Scope is the parsed credential: <AccessKeyId>/<day>/<region>/oss/aliyun_v4_request.
type v4Scope struct{ accessKeyID, day, region string }

func (c v4Scope) String() string {
	return c.day + "/" + c.region + "/" + v4Product + "/" + v4Terminator
}

func parseV4Scope(credential string) (v4Scope, bool) {
	// An AccessKey ID holds no slash.
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[0] == "" || parts[3] != v4Product || parts[4] != v4Terminator {
		return v4Scope{}, false
	}
	if _, err := time.Parse(v4DayFormat, parts[1]); err != nil {
		return v4Scope{}, false
	}
	return v4Scope{accessKeyID: parts[0], day: parts[1], region: parts[2]}, true
}

// parseAdditionalHeaders splits the list of optionally signed headers, which must be lower-case, sorted and without empty
// names (https://help.aliyun.com/zh/oss/user-guide/0002-00000210).
func parseAdditionalHeaders(list string) ([]string, error) {
	names := strings.Split(list, ";")
	for i, n := range names {
		if n == "" || n != strings.ToLower(n) || i > 0 && names[i-1] >= n {
			ec := "0002-00000210"
			if list == "" {
				ec = "0002-00000209"
			}
			e := errInvalidArgument("AdditionalHeaders", list, "The additional headers must be lower-case names in alphabetical order, joined with semicolons.")
			e.ec = ec
			return nil, e
		}
	}
	return names, nil
}

// v4CanonicalRequest builds the canonical request; skip is the query parameter that carries the signature itself.
func v4CanonicalRequest(req *request, additional []string, skip string) string {
	var b strings.Builder
	b.WriteString(req.Method + "\n")
	uri := "/"
	if req.bucket != "" {
		uri += req.bucket + "/" + req.key
	}
	b.WriteString(percentEncode(uri, "/") + "\n")

	var query []parameter
	for _, p := range req.query {
		if p.name == skip {
			continue
		}
		query = append(query, parameter{percentEncode(p.name, ""), percentEncode(p.value, "")})
	}
	slices.SortStableFunc(query, func(a, b parameter) int { return strings.Compare(a.name, b.name) })
	for i, p := range query {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name)
		if p.value != "" {
			b.WriteString("=" + p.value)
		}
	}
	b.WriteByte('\n')

	header := req.Header
	if slices.Contains(additional, "host") || slices.Contains(additional, "content-length") {
		// net/http keeps these two outside of the header.
		header = header.Clone()
		header.Set("Host", req.Host)
		if header.Get("Content-Length") == "" && req.ContentLength >= 0 {
			header.Set("Content-Length", strconv.FormatInt(req.ContentLength, 10))
		}
	}
	for _, h := range signedHeaders(header, func(name string) bool {
		return name == "content-type" || name == "content-md5" || strings.HasPrefix(name, "x-oss-") || slices.Contains(additional, name)
	}) {
		b.WriteString(h.name + ":" + h.value + "\n")
	}
	b.WriteString("\n" + strings.Join(additional, ";") + "\n" + v4UnsignedPayload)
	return b.String()
}

// v4SigningKey derives the key of one day and region from the secret.
func v4SigningKey(secret string, scope v4Scope) []byte {
	key := []byte("aliyun_v4" + secret)
	for _, part := range []string{scope.day, scope.region, v4Product, v4Terminator} {
		key = hmacSHA256(key, part)
	}
	return key
}

func hmacSHA256(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

func v4StringToSign(date string, scope v4Scope, canonicalRequest string) string {
	sum := sha256.Sum256([]byte(canonicalRequest))
	return v4Algorithm + "\n" + date + "\n" + scope.String() + "\n" + hex.EncodeToString(sum[:])
}

// v4Claim is what a request says about its V4 signature, wherever it says so.
type v4Claim struct {
	scope v4Scope
	// dateText is the time as it was sent, which is how it enters the string to sign; date is the same parsed.
	dateText   string
	date       time.Time
	additional []string
	signature  string
	// signatureParameter is the query parameter that carries the signature and so cannot be signed; empty in a header.
	signatureParameter string
	// regionEC and regionText are the error number and text for a foreign region, which differ between header and query
	// (https://help.aliyun.com/zh/oss/user-guide/0002-00000228 and 0002-00000226).
	regionEC, regionText string
}

// checkV4 is the part that header and query signatures share: scope, then signature.
func (s *Server) checkV4(req *request, cred Credentials, claim v4Claim) error {
	scope := claim.scope
	if scope.day != claim.date.UTC().Format(v4DayFormat) {
		return errInvalidArgument("Credential", scope.String(), "The date in the credential is not the date of the request.")
	}
	if scope.region != s.cfg.Region {
		e := errInvalidArgument("Credential", scope.String(), "%s", claim.regionText)
		e.ec = claim.regionEC
		return e
	}
	canonical := v4CanonicalRequest(req, claim.additional, claim.signatureParameter)
	toSign := v4StringToSign(claim.dateText, scope, canonical)
	want := hex.EncodeToString(hmacSHA256(v4SigningKey(cred.AccessKeySecret, scope), toSign))
	if !equalSecret(want, claim.signature) {
		return errSignature("0002-00000201", cred.AccessKeyID, claim.signature, toSign, canonical)
	}
	return nil
}

func (s *Server) checkV4Header(req *request) (Credentials, error) {
	fields := map[string]string{}
	rest := strings.TrimPrefix(req.Header.Get("Authorization"), v4Algorithm+" ")
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	scope, ok := parseV4Scope(fields["Credential"])
	if !ok {
		e := errInvalidArgument("Credential", "", "The Credential must be <AccessKeyId>/<YYYYMMDD>/<region>/oss/aliyun_v4_request.")
		e.ec = "0002-00000213"
		return Credentials{}, e
	}
	var additional []string
	if list, ok := fields["AdditionalHeaders"]; ok {
		var err error
		if additional, err = parseAdditionalHeaders(list); err != nil {
			return Credentials{}, err
		}
	}
	payload := req.Header.Get("x-oss-content-sha256")
	if payload != v4UnsignedPayload {
		e := errInvalidArgument("x-oss-content-sha256", payload, "The x-oss-content-sha256 header must be %s.", v4UnsignedPayload)
		e.ec = "0002-00000214"
		return Credentials{}, e
	}
	cred, err := s.credentials(scope.accessKeyID, req.Header.Get("x-oss-security-token"), req.now)
	if err != nil {
		return Credentials{}, err
	}
	// Either header may carry the time, each in its own format; the string to sign takes it as it came
	// (https://help.aliyun.com/zh/oss/user-guide/0002-00000503).
	dateText := req.Header.Get("x-oss-date")
	var date time.Time
	if dateText != "" {
		date, err = time.Parse(v4TimeFormat, dateText)
	} else {
		dateText = req.Header.Get("Date")
		date, err = http.ParseTime(dateText)
	}
	if err != nil {
		return Credentials{}, errInvalidDate()
	}
	if err := checkSkew(req.now, date); err != nil {
		return Credentials{}, err
	}
	return cred, s.checkV4(req, cred, v4Claim{
		scope: scope, dateText: dateText, date: date, additional: additional,
		signature: fields["Signature"], regionEC: "0002-00000228", regionText: "Invalid signing region in Authorization header.",
	})
}

func (s *Server) checkV4Query(req *request) (Credentials, error) {
	q := req.query
	scope, ok := parseV4Scope(q.get("x-oss-credential"))
	if !ok {
		e := errInvalidArgument("x-oss-credential", q.get("x-oss-credential"), "The x-oss-credential must be <AccessKeyId>/<YYYYMMDD>/<region>/oss/aliyun_v4_request.")
		e.ec = "0002-00000213"
		return Credentials{}, e
	}
	var additional []string
	if q.has("x-oss-additional-headers") {
		var err error
		if additional, err = parseAdditionalHeaders(q.get("x-oss-additional-headers")); err != nil {
			return Credentials{}, err
		}
	}
	cred, err := s.credentials(scope.accessKeyID, q.get("x-oss-security-token"), req.now)
	if err != nil {
		return Credentials{}, err
	}
	for _, name := range additional {
		if req.Header.Get(name) == "" && name != "host" && name != "content-length" {
			return Credentials{}, errInvalidArgument("x-oss-additional-headers", name, "The request lacks a header that x-oss-additional-headers names.")
		}
	}
	dateText := q.get("x-oss-date")
	date, err := time.Parse(v4TimeFormat, dateText)
	if err != nil {
		return Credentials{}, errInvalidArgument("x-oss-date", dateText, "The x-oss-date must be a UTC time such as 20231203T121212Z.")
	}
	seconds, err := strconv.Atoi(q.get("x-oss-expires"))
	if err != nil || seconds < 1 || seconds > v4MaxExpires {
		e := errInvalidArgument("x-oss-expires", q.get("x-oss-expires"), "The x-oss-expires must be 1 to %d seconds.", v4MaxExpires)
		e.ec = "0002-00000232"
		return Credentials{}, e
	}
	if date.After(req.now.Add(maxClockSkew)) {
		return Credentials{}, errorf(http.StatusForbidden, "AccessDenied", "", "Request is not valid yet.")
	}
	if expires := date.Add(time.Duration(seconds) * time.Second); !req.now.Before(expires) {
		return Credentials{}, errExpired(req.now, expires)
	}
	return cred, s.checkV4(req, cred, v4Claim{
		scope: scope, dateText: dateText, date: date, additional: additional,
		signature: q.get("x-oss-signature"), signatureParameter: "x-oss-signature", regionEC: "0002-00000226", regionText: "Invalid signing region in x-oss-credential.",
	})
}
