/** Keys and tokens made with Node.js (node:crypto), for these tests only. */
#pragma once

// clang-format off
static const char rs256_token[] =
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzMjU2In0.eyJyb29tIjoiZGVtbyIsInN1YiI6ImFkYS"
    "IsImlzcyI6ImlkcCIsImF1ZCI6WyJ4Iiwicm9vc3QiXSwiZXhwIjoyMDAwLCJhZG1pbiI6dHJ1ZX0.Xh9eHzCv-ccR"
    "t7CKHVMwpGOZh1gp8BZ_jMh8OG-mSDOfoq8GQzwp3aMAvUBgDq2hK6_hdnhiOrYOzEKNWhy9mo4mwF4KPVjn_POoon"
    "D50VaVPULWMpwz6tjZGIioMeENBR9k14TlZAmNgNtRtaiMJ_injt5zuUuqZLnsTa34Mph46oOuHN1a_GYSEYvGRlTF"
    "bc01GcEZMKTJETXf_wA2v5gRbdOjDuAgQCRksP9hWTkeJbCFefPkVQZCRdy_FKTxVdQWBXa-S_HOmiBFBm_e8qgSRs"
    "auwXliPkxC0Z8lA0KdQZ1vKgBYl97xwq5XOLv7w4QTAdBD-J9zR6FTG2NfqQ";
static const char rs256_pem[] =
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAunjO6rvtgxL6L1xYfM"
    "Qf\nVxF+crsdy25T1tkCTXnhxyvBrS4uogI2qXYruu/0JGhTLu2yKfD2gvM+G/D9YIQp\nwVPZr261nMdRIStU56fi"
    "pTGwXvKBYGKwJTh1aRMgdsSHOtgM9N60tmW45MSzrgJ9\nrz7kX4hoAFMz3O1C48KC8VY8En0EMQuWRNSUpE2IPlUL"
    "QecrTCBmZryyV43dO/IO\nCrhFSY60PBRtBIV073bej4mNjQUVRXVb0TnWV2CJJ4V8bpv4B4BDrh4RxTmUYiTr\n4g"
    "qmVfUUl0sJEl42MlieZMBKhFR0v/od/7cflToDRZfG4IF9H7rvmS+xPjKMwyFm\n1wIDAQAB\n-----END PUBLIC "
    "KEY-----\n";
static const char rs256_jwks[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"unjO6rvtgxL6L1xYfMQfVxF-crsdy25T1tkCTXnhxyvBrS4uogI2qX"
    "Yruu_0JGhTLu2yKfD2gvM-G_D9YIQpwVPZr261nMdRIStU56fipTGwXvKBYGKwJTh1aRMgdsSHOtgM9N60tmW45MSz"
    "rgJ9rz7kX4hoAFMz3O1C48KC8VY8En0EMQuWRNSUpE2IPlULQecrTCBmZryyV43dO_IOCrhFSY60PBRtBIV073bej4"
    "mNjQUVRXVb0TnWV2CJJ4V8bpv4B4BDrh4RxTmUYiTr4gqmVfUUl0sJEl42MlieZMBKhFR0v_od_7cflToDRZfG4IF9"
    "H7rvmS-xPjKMwyFm1w\",\"e\":\"AQAB\",\"kid\":\"rs256\",\"use\":\"sig\",\"alg\":\"RS256\"}]}";
static const char rs256_private[] =
    "-----BEGIN PRIVATE KEY-----\nMIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQC6eM7qu+2DE"
    "vov\nXFh8xB9XEX5yux3LblPW2QJNeeHHK8GtLi6iAjapdiu67/QkaFMu7bIp8PaC8z4b\n8P1ghCnBU9mvbrWcx1E"
    "hK1Tnp+KlMbBe8oFgYrAlOHVpEyB2xIc62Az03rS2Zbjk\nxLOuAn2vPuRfiGgAUzPc7ULjwoLxVjwSfQQxC5ZE1JS"
    "kTYg+VQtB5ytMIGZmvLJX\njd078g4KuEVJjrQ8FG0EhXTvdt6PiY2NBRVFdVvROdZXYIknhXxum/gHgEOuHhHF\nO"
    "ZRiJOviCqZV9RSXSwkSXjYyWJ5kwEqEVHS/+h3/tx+VOgNFl8bggX0fuu+ZL7E+\nMozDIWbXAgMBAAECggEAARWEt"
    "m6jQdjRZYcW6JrHR91NK+OUl8Mrb5tRXRvxSRQj\nCxuyn7R9ltyeAnc0pyWIHkS5fW7uL/K0ELuE7ZO3Hm2bXV66Z"
    "Y/vE89JrhMWyTkR\numuUfvfz6DN800CONsKLurbY1G+bA1hyC7ptBPz0uBkYgMmtORtCuO0UL3jJBBgm\ntOflpTb"
    "hOpf7TvYApSaYXFZpnx8dYaz0w6S3WR+yt7TN7fU8FfsAoLa8fS6ZuZnx\neNYnbT8qqWT3psKFl50ka8CZrL8s11g"
    "slgG+MJf8pRnJY9UOVEmpwHnTmf1Ogy4y\nVeQ1guv/Sq0GVYXZMUlMmZapG3elY5FErgdSDlPz2QKBgQDbYsLNQK1"
    "FbemY/i9u\npZqSga5nsR4oT5cKzox50218di+yBfZu2znf5E2F4VvKsXx9eoUfxVEcNT3Zzhdg\nVCg97S++lirKk"
    "pe2itOFpK+dfPHhVXahjgXtdwNxlo/SnaFUaWu/T/2L+2zeLLXY\nQIBoUCByGz6SIx7Puf5z6/NmQwKBgQDZl84Ac"
    "Fn8iCmJdjPdsW2HlAcR3Fyc+K8a\nB6y7iWkgbTYsnt1y7I2LTP4DRHiJUSvr78+9dlYIIp3jL832Vzz4BnKoE13QG"
    "4O3\nKLU2KCyUNx3Qrjh2KjLwgsbk++4WCH4G2AYAmqW/7Tt3dy0CnUkq5uGVWKQazE0v\n7l2y8gz13QKBgBAujrP"
    "ZC27NlqdkSFde+7HGwvh/BfxvMnLnnVD3GWJOzWHSMsUm\ngnRTQKyZXM3snYQb32niggMUokVIgEzoqDc5IYZrSSi"
    "7+1jJkKSQ6yswph660Q9F\njIZheu2L73vXiKjTRdFMsyT6HKOepKMYzt/i2SHRhKH+2Sz1SSF/y+pFAoGAf0Bn\nK"
    "hyKk8QxvoFRLcqQyqRISiq8QtSw2qE4ZGilAWC9OPUjfw1Wbev19YU6lNvSuuWB\ncUTeZV2RRobzhahZMJfcv+yrh"
    "YRB0IDPEUAHahqdpiftPzXImp1wogOvplULFweI\n4xuN6aNcjq40tX20h5GExamUN1PZpDlbtMYXzEUCgYAHr/fvt"
    "2dXiPYatUQxN0Db\n/Q03r30gHoLRiPZjukO8sViBXnN09R6UNR4KpcJEQ+F7Nts43DBArP0Ajg0aXnUp\nGmCAlyA"
    "rdOPSt/nKwC4DaFOdYyUZNpJaEWpkWcTjV5SmVOFN73tGpQv5h5yi+6GZ\ncDPThxack6Ls+9opfYwNFw==\n-----"
    "END PRIVATE KEY-----\n";
static const char es256_token[] =
    "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImVzMjU2In0.eyJyb29tIjoiZGVtbyIsInN1YiI6ImFkYS"
    "IsImlzcyI6ImlkcCIsImF1ZCI6WyJ4Iiwicm9vc3QiXSwiZXhwIjoyMDAwLCJhZG1pbiI6dHJ1ZX0.25OXbu5tfHab"
    "IVll5MhU2eRjyKCsgdkHmMTakRLap3rsfCkkB0xMMiuqQ-RxELP6GIA_46lHkN6ubgedyhzzLA";
static const char es256_pem[] =
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8ABgzZS+1/HSDUOTc9lp/ZjXkD"
    "ax\n7xAf1SDYl/iUw9B7imZlBKVfI8MJ6CcOF/O+1NAn/I62cwm9NMYiOdOLBA==\n-----END PUBLIC KEY-----"
    "\n";
static const char es256_jwks[] =
    "{\"keys\":[{\"kty\":\"EC\",\"x\":\"8ABgzZS-1_HSDUOTc9lp_ZjXkDax7xAf1SDYl_iUw9A\",\"y\":\"e"
    "4pmZQSlXyPDCegnDhfzvtTQJ_yOtnMJvTTGIjnTiwQ\",\"crv\":\"P-256\",\"kid\":\"es256\",\"use\":\""
    "sig\",\"alg\":\"ES256\"}]}";
static const char es256_private[] =
    "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgqFaBScSVzW0EH"
    "Cim\n39ZhQsh6+dmxkPlMQKIdbPJd5SuhRANCAATwAGDNlL7X8dINQ5Nz2Wn9mNeQNrHv\nEB/VINiX+JTD0HuKZmU"
    "EpV8jwwnoJw4X877U0Cf8jrZzCb00xiI504sE\n-----END PRIVATE KEY-----\n";
static const char eddsa_token[] =
    "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6ImVkZHNhIn0.eyJyb29tIjoiZGVtbyIsInN1YiI6ImFkYS"
    "IsImlzcyI6ImlkcCIsImF1ZCI6WyJ4Iiwicm9vc3QiXSwiZXhwIjoyMDAwLCJhZG1pbiI6dHJ1ZX0.AMxjGKU_Jxf-"
    "_e-I2Lfwf7yYjokh056eEx7sxcmJK7xZCgzxUR7scl8R3_W0MdkDF7lq3SYELobS-BJd2N6AAw";
static const char eddsa_pem[] =
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEADya4E+pjUlcasp3D4mYLcAF+LLwAOeTfvpa4iBTeQy8=\n"
    "-----END PUBLIC KEY-----\n";
static const char eddsa_jwks[] =
    "{\"keys\":[{\"crv\":\"Ed25519\",\"x\":\"Dya4E-pjUlcasp3D4mYLcAF-LLwAOeTfvpa4iBTeQy8\",\"kt"
    "y\":\"OKP\",\"kid\":\"eddsa\",\"use\":\"sig\",\"alg\":\"EdDSA\"}]}";
static const char eddsa_private[] =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIBhMUN6GzGWUkjHxJn1MN8J/SUPtVXa2B09rIl1fN"
    "nMh\n-----END PRIVATE KEY-----\n";
// clang-format on
