package explorer

import (
	"bytes"
	"fmt"

	"fc-idcard-ocr/internal/bucket"
)

// addOutsiders adds what those do who may write to the bucket, and the bucket's owner.
func (w *world) addOutsiders(add func(string, func())) {
	key := w.keys.Claim(w.imageKey)
	plant := func(name string, appendable bool, body []byte) {
		add(name, func() {
			w.loseClaim()
			w.storage.objects[key] = object{body: body, appendable: appendable, Object: bucket.Object{ETag: etagOf(body), Size: int64(len(body)), LastModified: wholeSecond()}}
		})
	}
	plant("plant claim", true, fmt.Appendf(nil, `{"incarnation":"1","sequence":0,"owner":"1","requestId":"1","retryCount":0,"leaseEnd":"9999-01-01T00:00:00Z",`+
		`"version":{"etag":%q,"lastModified":"2000-01-01T00:00:00Z"},"generation":0,"since":"2000-01-01T00:00:00Z","possibleExtraCharges":1,`+
		`"result":{"schemaVersion":1,"status":"recognized","image":{"bucket":"cards","key":%q,"etag":%[1]q},"card":{"name":"planted"}},"mac":"1"}`+"\n", etagOf([]byte(contentA)), w.imageKey))
	plant("plant no claim", false, []byte("not a claim"))
	if o, ok := w.storage.objects[key]; ok && o.appendable {
		add("copy claim", func() {
			w.copiedClaims++ // it has to be deleted before its state can be written again
			w.lostTold += toldBy(o.body)
			o.appendable = false
			w.storage.objects[key] = o
		})
	}
	if o, ok := w.storage.objects[w.keys.Result(w.imageKey)]; ok && len(o.Meta) > 0 {
		add("strip metadata", func() { o.Meta = nil; w.storage.objects[w.keys.Result(w.imageKey)] = o })
	}
	if !w.storage.refusesAppends {
		add("refuse appends", func() { w.storage.refusesAppends = true })
	}
}

// mend removes what keeps an image from being settled until its owner does something, after the image has a document that says
// so. It reports whether there was something.
func (w *world) mend() bool {
	o, ok := w.storage.objects[w.keys.Claim(w.imageKey)]
	foreign := ok && bytes.HasPrefix(o.body, []byte("not a claim"))
	broken := foreign || w.storage.refusesAppends
	if broken && w.document() == nil {
		w.violate("no document says that somebody has to mend the bucket")
	}
	if foreign {
		w.storage.delete(w.keys.Claim(w.imageKey))
	}
	w.storage.refusesAppends = false
	return broken
}
