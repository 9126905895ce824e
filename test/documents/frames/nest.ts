declare const AppModule: new () => object;
// block
