public class Main { void main( }
