LARGEST = {{largest}}
