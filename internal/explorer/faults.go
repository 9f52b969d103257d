package explorer

import (
	"fc-idcard-ocr/ocrclient"
)

// addCallFaults adds what can go wrong with a paid call.
func (w *world) addCallFaults(add func(string, func()), r *request) {
	lost := callError(ocrclient.Indeterminate, ocrclient.Timeout)
	add("reply lost", func() { w.effect(r); w.reply(r, lost) })
	add("lost", func() { w.reply(r, lost) })
	add("late", func() { w.reply(r, lost); w.keep(r) })
	add("not sent", func() { w.reply(r, callError(ocrclient.NotSent, ocrclient.Unavailable)) })
	add("refused", func() { w.refusals++; w.reply(r, callError(ocrclient.Refused, ocrclient.Unavailable)) })
	add("refused, nonce noted", func() { w.refusals++; r.note(); w.reply(r, callError(ocrclient.Refused, ocrclient.Unavailable)) })
	add("unreadable answer", func() {
		err := w.effect(r)
		if err == nil {
			err = callError(ocrclient.Malformed, ocrclient.BadAnswer)
			if r.paid != nil {
				r.paid.useless = true
			}
		}
		w.reply(r, err)
	})
}
