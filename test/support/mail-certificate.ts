/** A certificate that the test's mail server shows, made once for localhost by nobody that anybody trusts. */
export const mailCertificate = `-----BEGIN CERTIFICATE-----
MIIBlDCCATugAwIBAgIUCrOjNif1A0lN3thRia37xXyRjB4wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNzA0MTM0MloYDzIxMjYxMTAz
MDQxMzQyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATsiEAcG+NOtyKg8Z2wc6vx9+As9s4ski4QwQPlpcasKLwpl2M9ntNx
2B7rXdRvymxAjj0dqQSDCoFyHPkTckL1o2kwZzAdBgNVHQ4EFgQUC/qGIJKFujwx
NGvx4crcdGq/jt0wHwYDVR0jBBgwFoAUC/qGIJKFujwxNGvx4crcdGq/jt0wDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
RwAwRAIgIIf3+T9fyXvslRo9Rbk+aqupq9rEkatjPMKDB97FAVkCIAtuEmBJ9Noa
tNIhxn09jDSnknshv0KS76IrWTg+/cIZ
-----END CERTIFICATE-----
`;
export const mailKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgteuF25coIOGhlsR3
rmc1Vm1A+aYrfVWluDOtvmT6YZ6hRANCAATsiEAcG+NOtyKg8Z2wc6vx9+As9s4s
ki4QwQPlpcasKLwpl2M9ntNx2B7rXdRvymxAjj0dqQSDCoFyHPkTckL1
-----END PRIVATE KEY-----
`;
