/* SPDX-License-Identifier: GPL-3.0-only
 *
 * What runtimes keep of containers, as anybody could have written it: OCI configurations and podman's lists.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/identity.h"

#define ID "4f1c0de9a2b37586fedcba98765432100123456789abcdef0f1e2d3c4b5a6978"

static void check(const struct identity *identity, int r)
{
	if (r > 0)
		abort();
	if (!r && (!*identity->name || !identity->named))
		abort();
	if (strnlen(identity->name, IDENTITY_NAME_MAX) == IDENTITY_NAME_MAX ||
	    strnlen(identity->image, IDENTITY_NAME_MAX) == IDENTITY_NAME_MAX ||
	    strnlen(identity->pod, IDENTITY_NAME_MAX) == IDENTITY_NAME_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct identity identity;

	identity_from_path("/kubepods/pod1/" ID, &identity);
	check(&identity, oci_name_from_json((const char *)data, size, &identity));
	identity_from_path("/kubepods/pod1/" ID, &identity);
	check(&identity, podman_name_from_json((const char *)data, size, &identity));
	return 0;
}
