package result

import (
	"bytes"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAReviewFollowsItsPublishedSchemaAndSurvivesParsing(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/review.schema.json")
	require.NoError(t, err)
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	read := Card{Name: "韦小宝", Sex: "女", BirthDate: "1949-12-31", IDNumber: "11010519491231002X"}
	recognized := &Document{Status: Recognized, Card: &read, Image: Image{Bucket: "cards", Key: "a.jpg", ETag: "E", Size: 1}}
	recognized.Stamp("1", now)
	unrecognized := &Document{Status: Unrecognized, Image: Image{Size: 1}, Error: &Error{Code: NotRecognized}}
	unrecognized.Stamp("2", now)
	for _, test := range []struct {
		document *Document
		card     Card
		decision Decision
		verdict  Verdict
	}{
		{recognized, read, Confirmed, Consistent},
		{recognized, Card{Name: "韦小宝", Sex: "男", BirthDate: "1949年12月31日", IDNumber: "110105 19491231 002x"}, Corrected, Contradictory},
		{unrecognized, read, Corrected, Consistent},
	} {
		review := NewReview(test.document, test.card, "li", now)
		assert.Equal(t, test.decision, review.Decision)
		assert.Equal(t, test.verdict, review.Validation.Verdict)
		assert.Equal(t, "11010519491231002X", review.After.IDNumber, "in normal form")
		assert.True(t, review.About(test.document))
		text := review.Encode()
		decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		require.NoError(t, err)
		require.NoError(t, schema.Validate(decoded), string(text))
		parsed, err := ParseReview(text)
		require.NoError(t, err)
		assert.Equal(t, review, parsed)

		applied := parsed.Apply(*test.document)
		assert.Equal(t, Recognized, applied.Status)
		assert.Equal(t, review.After, *applied.Card)
		assert.Nil(t, applied.Error)
		masked := review.Mask()
		assert.NotContains(t, string(masked.Encode()), "19491231")
	}
	made := *recognized
	made.Stamp("3", now)
	assert.False(t, NewReview(recognized, read, "li", now).About(&made), "of a document made anew")
	for name, other := range map[string]func(*Image){ // of the same event, in the same second
		"bucket": func(i *Image) { i.Bucket = "others" }, "key": func(i *Image) { i.Key = "b.jpg" }, "ETag": func(i *Image) { i.ETag = "F" },
	} {
		d := *recognized
		other(&d.Image)
		assert.False(t, NewReview(recognized, read, "li", now).About(&d), name)
	}
	for _, foreign := range []string{"", "[]", "{}", `{"schemaVersion":1,"decision":"maybe"}`} {
		_, err := ParseReview([]byte(foreign))
		assert.ErrorIs(t, err, ErrForeignReview, foreign)
	}
}
