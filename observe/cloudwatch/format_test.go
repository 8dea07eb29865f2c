package cloudwatch_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/handrail-go/handrail/observe/cloudwatch"
)

func TestAttributesOfWithAreThoseOfTheMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		h, log := handler(t, s)
		order := map[string]int{"items": 1}
		mine := log.With("order", order)
		order["items"] = 2 // must not race with mine, either
		mine.Info("placed")
		must(t, h.Flush(background))
		if got := s.taken()[0].Message; !strings.Contains(got, `"order":{"items":1}`) {
			t.Errorf("it is %s", got)
		}
	})
}

func TestARecordThatIsShortenedIsRewrittenLikeEveryOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		h, log := handler(t, s, cloudwatch.WithMaxEvent(512), cloudwatch.WithReplaceAttr(func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.MessageKey:
				return slog.String("message", strings.ReplaceAll(a.Value.String(), "secret", "***"))
			case slog.LevelKey:
				return slog.String("severity", a.Value.String())
			}
			return a
		}))
		log.Info("secret", "big", strings.Repeat("x", 1000))
		must(t, h.Flush(background))
		if got := s.taken()[0].Message; strings.Contains(got, "secret") || !strings.Contains(got, `"message":"***"`) || !strings.Contains(got, `"severity":"INFO"`) {
			t.Errorf("it is %s", got)
		}
	})
}

func TestARewriterThatMakesEverythingLongIsHeldToTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		h, log := handler(t, s, cloudwatch.WithMaxEvent(512), cloudwatch.WithReplaceAttr(func(_ []string, a slog.Attr) slog.Attr {
			return slog.String(a.Key, strings.Repeat("long", 1000))
		}))
		log.Info("secret")
		must(t, h.Flush(background))
		got := s.taken()[0].Message
		if !json.Valid([]byte(got)) || len(got) > 512 || strings.Contains(got, "secret") || !strings.Contains(got, `"shortened_from_bytes":`) {
			t.Errorf("it is %s", got)
		}
	})
}

func TestAttributesThatCannotBeFormattedCostTheRecordsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, log := handler(t, &store{}, cloudwatch.WithReplaceAttr(func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == "bad" {
				panic("replace")
			}
			return a
		}))
		bad := log.With("bad", 1)
		bad.Info("lost")
		bad.WithGroup("g").With("a", 1).Info("lost")
		log.Info("good")
		h.Flush(background)
		if st := account(t, h); st.Reasons[cloudwatch.LossFormat] != 2 || st.Delivered != 1 {
			t.Errorf("the figures are %+v", st)
		}
	})
}
