package ossfake

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
)

// apiError is an answer in OSS's error format (an XML document with a Code that clients branch on).
type apiError struct {
	status  int
	code    string
	message string
	// ec is the service's fine-grained error number (https://help.aliyun.com/zh/oss/user-guide/error-codes); empty where
	// the documentation does not name one.
	ec     string
	fields []errorField
	header map[string]string
}

// errorField is a further element of the error document, such as StringToSign.
type errorField struct{ name, value string }

func (e *apiError) Error() string { return e.code + ": " + e.message }

// with returns a copy of e with one more element in its document.
func (e *apiError) with(name, value string) *apiError {
	c := *e
	c.fields = append(append([]errorField(nil), e.fields...), errorField{name, value})
	return &c
}

func errorf(status int, code, ec, format string, args ...any) *apiError {
	return &apiError{status: status, code: code, ec: ec, message: fmt.Sprintf(format, args...)}
}

func errInvalidArgument(name, value, format string, args ...any) *apiError {
	e := errorf(http.StatusBadRequest, "InvalidArgument", "", format, args...)
	if name != "" {
		e = e.with("ArgumentName", name).with("ArgumentValue", value)
	}
	return e
}

func errNotImplemented(what string) *apiError {
	return errorf(http.StatusNotImplemented, "NotImplemented", "", "%s is not implemented by the local OSS.", what)
}

func errNoSuchKey(key string) *apiError {
	return errorf(http.StatusNotFound, "NoSuchKey", "0026-00000001", "The specified key does not exist.").with("Key", key)
}

func errNoSuchBucket(bucket string) *apiError {
	return errorf(http.StatusNotFound, "NoSuchBucket", "0015-00000101", "The specified bucket does not exist.").with("BucketName", bucket)
}

func errInvalidBucketName(bucket string) *apiError {
	return errorf(http.StatusBadRequest, "InvalidBucketName", "", "The specified bucket is not valid.").with("BucketName", bucket)
}

func errMethodNotAllowed(method string) *apiError {
	return errorf(http.StatusMethodNotAllowed, "MethodNotAllowed", "", "The specified method is not allowed against this resource.").with("Method", method)
}

func errMalformedXML() *apiError {
	return errorf(http.StatusBadRequest, "MalformedXML", "", "The XML you provided was not well-formed or did not validate against our published schema.")
}

func errPreconditionFailed(condition string) *apiError {
	return errorf(http.StatusPreconditionFailed, "PreconditionFailed", "", "At least one of the pre-conditions you specified did not hold.").with("Condition", condition)
}

// document renders the error as OSS does.
func (e *apiError) document(requestID, host string) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<Error>\n")
	element := func(name, value string) {
		fmt.Fprintf(&b, "  <%s>", name)
		// Writing to a bytes.Buffer cannot fail.
		_ = xml.EscapeText(&b, []byte(value))
		fmt.Fprintf(&b, "</%s>\n", name)
	}
	element("Code", e.code)
	element("Message", e.message)
	element("RequestId", requestID)
	element("HostId", host)
	for _, f := range e.fields {
		element(f.name, f.value)
	}
	if e.ec != "" {
		element("EC", e.ec)
		element("RecommendDoc", "https://api.aliyun.com/troubleshoot?q="+e.ec)
	}
	b.WriteString("</Error>\n")
	return b.Bytes()
}

// write answers r with the error. An answer to HEAD has no body, so there the document travels base64-coded in the
// x-oss-err header, from which the SDKs read the code.
func (e *apiError) write(w http.ResponseWriter, r *http.Request, requestID string) {
	doc := e.document(requestID, r.Host)
	h := w.Header()
	for k, v := range e.header {
		h.Set(k, v)
	}
	if e.ec != "" {
		h.Set("x-oss-ec", e.ec)
	}
	if r.Method == http.MethodHead {
		h.Set("x-oss-err", base64.StdEncoding.EncodeToString(doc))
		w.WriteHeader(e.status)
		return
	}
	if e.status == http.StatusNotModified {
		w.WriteHeader(e.status)
		return
	}
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", fmt.Sprint(len(doc)))
	w.WriteHeader(e.status)
	// A client that went away is no fault of the server.
	_, _ = w.Write(doc)
}
