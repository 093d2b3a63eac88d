for name in ("Ada", "Grace"):
    print("hello", name)
