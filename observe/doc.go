// Package observe tells what a service does with its requests.
package observe
