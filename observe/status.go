package observe

import "strconv"

// serverErrors are the statuses 500 to 599 as text.
var serverErrors = func() (text [100]string) {
	for i := range text {
		text[i] = strconv.Itoa(500 + i)
	}
	return text
}()

// statusText is a status as the semantic conventions' error.type.
func statusText(status int) string {
	if i := status - 500; i >= 0 && i < len(serverErrors) {
		return serverErrors[i]
	}
	return "600+"
}
