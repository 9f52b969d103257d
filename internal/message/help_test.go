package message

import (
	"strings"
	"testing"

	"github.com/rivo/uniseg"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// narrow removes what wrap may add or take away.
func narrow(text string) string { return strings.NewReplacer(" ", "", "\n", "").Replace(text) }

func TestLinesBreakByTheWidthOfCharactersAndNeverInFlagsOrPaths(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("存储桶中的图片，", 40),
		strings.Repeat("加 --retry-failed 时读取 .fc-idcard-ocr/budget/2026-11-25，", 12),
		strings.Repeat("an image of --retry-failed in .fc-idcard-ocr/budget/2026-11-25, ", 12),
		strings.Repeat("存储桶"+strings.Repeat("x", 79), 4),
		strings.Repeat("（见 https://help.aliyun.com/zh/oss/developer-reference/appendobject）", 7),
	} {
		wrapped := wrap(text, 20)
		lines := strings.Split(wrapped, "\n")
		require.Greater(t, len(lines), 3, text)
		assert.Equal(t, narrow(text), narrow(wrapped), "nothing is lost")
		for i, line := range lines {
			if i > 0 {
				require.True(t, strings.HasPrefix(line, strings.Repeat(" ", 20)), line)
				line = line[20:]
			}
			assert.LessOrEqual(t, 20+uniseg.StringWidth(line), helpWidth, line)
			assert.NotRegexp(t, `^[，。；：）、 ]|[（ ]$`, line)
		}
		for _, word := range []string{"--retry-failed", ".fc-idcard-ocr/budget/2026-11-25", "https://help.aliyun.com/zh/oss/developer-reference/appendobject"} {
			assert.Equal(t, strings.Count(text, word), strings.Count(wrapped, word), "%s stays whole", word)
		}
	}
}

func TestFlagsStandInColumnsOfTheWidthOfTheirCharacters(t *testing.T) {
	Use(Chinese)
	t.Cleanup(func() { Use(English) })
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.StringP("bucket", "b", "", "存储桶名称（`name`） [OCRCTL_BUCKET]")
	flags.Int("parallel", 16, "并发请求数（`number`），1 至 256")
	flags.String("endpoint", "", "OSS 的 `URL`（见说明）")
	flags.String("source", "data", "how pictures get there: data or url")
	flags.Bool("all", false, strings.Repeat("处理整个存储桶，", 12))
	table := flagTable(flags)
	assert.Equal(t, strings.TrimPrefix(`
      --all               处理整个存储桶，处理整个存储桶，处理整个存储桶，处理整个存储桶，处理整个存
                          储桶，处理整个存储桶，处理整个存储桶，处理整个存储桶，处理整个存储桶，处理
                          整个存储桶，处理整个存储桶，处理整个存储桶，
  -b, --bucket name       存储桶名称 [OCRCTL_BUCKET]
      --endpoint URL      OSS 的 URL（见说明）
      --parallel number   并发请求数，1 至 256（默认 16）
      --source string     how pictures get there: data or url（默认 "data"）
`, "\n"), table)
}
