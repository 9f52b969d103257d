package ossfake

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // The V1 signature is HMAC-SHA1 by definition.
	"encoding/base64"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// v1SubResources are the query parameters that are part of the V1 string to sign, besides all that start with
// "x-oss-" or "response-"
// (https://help.aliyun.com/zh/oss/developer-reference/include-signatures-in-the-authorization-header).
var v1SubResources = []string{
	"acl", "append", "asyncFetch", "bucketArchiveDirectRead", "bucketInfo", "callback", "callback-var", "cloudboxes", "cname", "comp",
	"continuation-token", "cors", "delete", "encryption", "endTime", "group", "httpsConfig", "img", "inventory", "inventoryId",
	"lifecycle", "link", "live", "location", "logging", "metaQuery", "objectInfo", "objectMeta", "partNumber", "policy",
	"policyStatus", "position", "publicAccessBlock", "qos", "qosInfo", "qosRequester", "redundancyTransition", "referer", "regionList", "replication",
	"replicationLocation", "replicationProgress", "requestPayment", "requesterQosInfo", "resourceGroup", "resourcePool", "responseHeader", "restore", "rtc", "security-token",
	"sequential", "startTime", "stat", "status", "style", "styleName", "symlink", "tagging", "transferAcceleration", "udf",
	"udfApplication", "udfApplicationLog", "udfId", "udfImage", "udfImageDesc", "udfName", "uploadId", "uploads", "versionId", "versioning",
	"versions", "vip", "vod", "website", "withHashContext", "worm", "wormExtend", "wormId",
}

func isV1SubResource(name string) bool {
	return strings.HasPrefix(name, "x-oss-") || strings.HasPrefix(name, "response-") || slices.Contains(v1SubResources, name)
}

// v1StringToSign builds the string of the V1 signature; date is the Date of a header signature or the Expires of a query
// signature. Key and sub-resource values are used decoded.
func v1StringToSign(req *request, date string) string {
	var b strings.Builder
	b.WriteString(req.Method + "\n" + req.Header.Get("Content-MD5") + "\n" + req.Header.Get("Content-Type") + "\n" + date + "\n")
	for _, h := range signedHeaders(req.Header, func(name string) bool { return strings.HasPrefix(name, "x-oss-") }) {
		b.WriteString(h.name + ":" + h.value + "\n")
	}
	b.WriteString("/")
	if req.bucket != "" {
		b.WriteString(req.bucket + "/" + req.key)
	}
	var sub []string
	for _, p := range req.query {
		if !isV1SubResource(p.name) {
			continue
		}
		if p.value == "" {
			sub = append(sub, p.name)
			continue
		}
		sub = append(sub, p.name+"="+p.value)
	}
	sort.Slice(sub, func(i, j int) bool {
		a, _, _ := strings.Cut(sub[i], "=")
		b, _, _ := strings.Cut(sub[j], "=")
		return a < b
	})
	if len(sub) > 0 {
		b.WriteString("?" + strings.Join(sub, "&"))
	}
	return b.String()
}

// signedHeaders returns the headers chosen by want, with lower-case names, in order of their names.
func signedHeaders(header http.Header, want func(lowerName string) bool) []parameter {
	var hs []parameter
	for name, values := range header {
		lower := strings.ToLower(name)
		if !want(lower) {
			continue
		}
		trimmed := make([]string, len(values))
		for i, v := range values {
			trimmed[i] = strings.TrimSpace(v)
		}
		hs = append(hs, parameter{lower, strings.Join(trimmed, ",")})
	}
	slices.SortFunc(hs, func(a, b parameter) int { return strings.Compare(a.name, b.name) })
	return hs
}

func v1Signature(secret, stringToSign string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(stringToSign))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func equalSecret(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }

func (s *Server) checkV1Header(req *request) (Credentials, error) {
	rest := strings.TrimPrefix(req.Header.Get("Authorization"), "OSS ")
	id, provided, ok := strings.Cut(strings.TrimSpace(rest), ":")
	if !ok || id == "" || provided == "" {
		e := errInvalidArgument("Authorization", "", "Authorization header is invalid.")
		e.ec = "0002-00000061"
		return Credentials{}, e
	}
	cred, err := s.credentials(id, req.Header.Get("x-oss-security-token"), req.now)
	if err != nil {
		return Credentials{}, err
	}
	// Browsers and some SDKs cannot set Date and send x-oss-date in its place.
	date := req.Header.Get("Date")
	if date == "" {
		date = req.Header.Get("x-oss-date")
	}
	signed, err := http.ParseTime(date)
	if err != nil {
		return Credentials{}, errInvalidDate()
	}
	if err := checkSkew(req.now, signed); err != nil {
		return Credentials{}, err
	}
	toSign := v1StringToSign(req, date)
	if !equalSecret(v1Signature(cred.AccessKeySecret, toSign), provided) {
		return Credentials{}, errSignature("0002-00000040", id, provided, toSign, "")
	}
	return cred, nil
}

func errInvalidDate() error {
	return errorf(http.StatusForbidden, "AccessDenied", "", "OSS authentication requires a valid Date.")
}

func (s *Server) checkV1Query(req *request) (Credentials, error) {
	id, provided, expiresText := req.query.get("OSSAccessKeyId"), req.query.get("Signature"), req.query.get("Expires")
	if id == "" || provided == "" {
		return Credentials{}, errorf(http.StatusForbidden, "AccessDenied", "",
			"Query-string authentication requires the Signature, Expires and OSSAccessKeyId parameters.")
	}
	if expiresText == "" {
		return Credentials{}, errorf(http.StatusForbidden, "AccessDenied", "0002-00000067",
			"Query-string authentication requires the Signature, Expires and OSSAccessKeyId parameters.")
	}
	// Without a token in the query one may come as a header.
	token := req.query.get("security-token")
	if token == "" {
		token = req.Header.Get("x-oss-security-token")
	}
	cred, err := s.credentials(id, token, req.now)
	if err != nil {
		return Credentials{}, err
	}
	seconds, err := strconv.ParseInt(expiresText, 10, 64)
	if err != nil || seconds < 0 {
		return Credentials{}, errorf(http.StatusForbidden, "AccessDenied", "0002-00000070",
			"Invalid date (should be seconds since epoch): %s", expiresText)
	}
	if expires := time.Unix(seconds, 0); !req.now.Before(expires) {
		return Credentials{}, errExpired(req.now, expires)
	}
	toSign := v1StringToSign(req, expiresText)
	if !equalSecret(v1Signature(cred.AccessKeySecret, toSign), provided) {
		return Credentials{}, errSignature("0002-00000040", id, provided, toSign, "")
	}
	return cred, nil
}
