#include "crypto/cipher.h"

#include <stdlib.h>

#include "base/memory.h"
#include "crypto/cipher_int.h"

#ifdef ROOST_HAVE_IPSEC_MB
static void provider_use_ipsec_mb(struct cipher_provider *provider)
{
    IMB_MGR *manager = alloc_mb_mgr(0);
    if (!manager)
        return;
    IMB_ARCH architecture = IMB_ARCH_NONE;
    init_mb_mgr_auto(manager, &architecture);
    // below AVX2 OpenSSL's stitched code is no slower
    if (manager->imb_errno == 0 && architecture >= IMB_ARCH_AVX2 &&
        (manager->features & IMB_FEATURE_AESNI)) {
        bool vaes = (manager->features & IMB_FEATURE_VAES) != 0;
        provider->name = architecture >= IMB_ARCH_AVX512
                             ? (vaes ? "ipsec-mb avx512 vaes" : "ipsec-mb avx512")
                             : (vaes ? "ipsec-mb avx2 vaes" : "ipsec-mb avx2");
        provider->gcm_128_prepare = manager->gcm128_pre;
        provider->gcm_256_prepare = manager->gcm256_pre;
        provider->gcm_128_encrypt = manager->gcm128_enc;
        provider->gcm_256_encrypt = manager->gcm256_enc;
        provider->gcm_128_decrypt = manager->gcm128_dec;
        provider->gcm_256_decrypt = manager->gcm256_dec;
    }
    free_mb_mgr(manager);
}
#endif

struct cipher_provider *cipher_provider_new(enum cipher_choice choice)
{
    struct cipher_provider *provider = memory_new(struct cipher_provider);
    provider->name = "openssl";
#ifdef ROOST_HAVE_IPSEC_MB
    if (choice == CIPHER_BEST)
        provider_use_ipsec_mb(provider);
#else
    (void)choice;
#endif
    return provider;
}

void cipher_provider_free(struct cipher_provider *provider)
{
    free(provider);
}

const char *cipher_provider_name(const struct cipher_provider *provider)
{
    return provider->name;
}
